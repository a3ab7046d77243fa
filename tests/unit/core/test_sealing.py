from __future__ import annotations

import gzip
import json
import zlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core import sealing
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.line_parser import LogLine, read_lines, times_in_order, values_by_identity
from eagle_logger.core.readings import Undated
from eagle_logger.core.sealing import LARGEST_OBJECT, Part, PartContent, gunzipped, part_of
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands, lines

some_lines = st.lists(lines(few=True), max_size=25)


def entries_of(*texts: bytes) -> list[LogLine]:
    entries, unreadable = read_lines(b"\n".join(texts), CLOUD_ID)
    assert not unreadable
    return entries


def readings_of(plain: bytes) -> list[tuple[object, bytes]]:
    return [(entry.identity, entry.values) for entry in entries_of(plain)]


def test_lines_are_put_in_order() -> None:
    part = part_of(entries_of(demand(9, 1), demand(3, 2), demand(5, 3)), {})
    assert part.plain == demand(3, 2) + demand(5, 3) + demand(9, 1)
    assert (part.rows, part.first, part.last) == (3, "2026-03-10T17:00:03Z", "2026-03-10T17:00:09Z")


def test_of_equal_readings_the_first_that_arrived_is_kept() -> None:
    early, late = (demand(3, 2, arrived=1773162100 + seconds) for seconds in (0, 60))
    part = part_of(entries_of(late, early, late), {})
    assert (part.plain, part.duplicates) == (early, 2)


def test_one_identity_with_two_values_keeps_both_and_says_so() -> None:
    part = part_of(entries_of(demand(3, 2), demand(3, 4), demand(5, 1)), {})
    assert [json.loads(line)["flags"] for line in part.plain.splitlines()] == [
        ["conflict"],
        ["conflict"],
        [],
    ]
    assert (part.rows, part.conflicts, part.duplicates) == (3, 2, 0)


def test_what_an_earlier_part_holds_is_left_out() -> None:
    earlier = part_of(entries_of(demands([1, 2, 3])), {})
    part = part_of(entries_of(demands([2, 3, 4, 4])), values_by_identity(entries_of(earlier.plain)))
    assert (part.plain, part.archived, part.duplicates) == (demands([4]), 2, 1)


def test_a_value_that_differs_from_an_earlier_part_is_kept_and_flagged() -> None:
    part = part_of(entries_of(demand(1, 7)), values_by_identity(entries_of(demand(1, 6))))
    assert (part.rows, part.conflicts) == (1, 1)
    assert b'"flags":["conflict"]' in part.plain


def test_nothing_new_is_an_empty_part() -> None:
    part = part_of(entries_of(demands([1])), values_by_identity(entries_of(demands([1]))))
    assert (part.rows, part.plain, part.first, part.last) == (0, b"", "", "")


@given(some_lines, st.randoms())
def test_the_order_of_the_lines_does_not_matter(texts: list[bytes], random: object) -> None:
    shuffled = list(texts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert part_of(entries_of(*shuffled), {}) == part_of(entries_of(*texts), {})


@given(some_lines)
def test_sealing_what_is_sealed_changes_nothing(texts: list[bytes]) -> None:
    once = part_of(entries_of(*texts), {})
    again = part_of(entries_of(once.plain), {})
    assert (again.plain, again.duplicates) == (once.plain, 0)


@given(st.lists(some_lines, max_size=5))
def test_parts_together_hold_every_reading_exactly_once(files: list[list[bytes]]) -> None:
    parts: list[Part] = []
    for texts in files:
        parts.append(
            part_of(
                entries_of(*texts), values_by_identity(entries_of(*(part.plain for part in parts)))
            )
        )
    archived = [reading for part in parts for reading in readings_of(part.plain)]
    assert len(archived) == len(set(archived))
    assert set(archived) == {
        reading for texts in files for text in texts for reading in readings_of(text)
    }
    for part, texts in zip(parts, files, strict=True):
        assert part.rows + part.duplicates + part.archived == len(texts)


@given(some_lines, st.data())
def test_a_file_that_is_left_as_it_lies_is_what_taking_it_apart_makes_of_it(
    texts: list[bytes], data: st.DataObject
) -> None:
    lines_of_a_file = data.draw(st.sampled_from([texts, entries_and_back(texts)]))
    plain = b"".join(text + b"\n" for text in lines_of_a_file) + data.draw(
        st.sampled_from([b"", b"\n", b'{"v":1,'])
    )
    at = data.draw(st.integers(0, len(plain)))
    for one in (
        plain,
        plain[:at]
        + data.draw(st.sampled_from([b"", b"\n", b"0", b'"', b"\xff"]))
        + plain[at + 1 :],
    ):
        entries, unreadable = read_lines(one, CLOUD_ID)
        content = PartContent(one, CLOUD_ID)
        held = values_by_identity(entries[:1]) if data.draw(st.booleans()) else {}
        assert content.part(held) == part_of(entries, held)
        assert (content.lines, content.unreadable) == (entries, unreadable)


def entries_and_back(texts: list[bytes]) -> list[bytes]:
    return part_of(entries_of(*texts), {}).plain.splitlines()


def test_a_file_in_order_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = demands(range(1, 50))
    changed = {
        "out of order": demand(2, 1) + demand(1, 1),
        "twice": demand(1, 1) + demand(1, 1, arrived=1773162200),
        "torn": whole + b'{"v":1',
        "no newline": whole[:-1],
        "not a day": whole.replace(b"2026-03-10T17:00:07Z", b"2026-02-30T17:00:07Z"),
        "not a day of arrival": whole.replace(
            b'"arrived":"2026-03-10', b'"arrived":"2026-02-30', 1
        ),
        "another's": whole.replace(CLOUD_ID.encode(), b"00ce69", 1),
        "not a device": whole.replace(b"0xd8d5b9000000abcd", b"0xd8d5b9000000abc", 1),
        "not a kind": whole.replace(b'"demand"', b'"demands"', 1),
        "nothing": b"",
    }
    assert times_in_order(whole, CLOUD_ID) == [entry.time for entry in entries_of(whole)]
    assert {
        why: times_in_order(plain, CLOUD_ID) for why, plain in changed.items()
    } == dict.fromkeys(changed)
    monkeypatch.delattr(sealing, "read_lines")
    content = PartContent(whole, CLOUD_ID)
    assert (content.part({}).plain, content.part({}).rows, content.unreadable) == (whole, 49, [])


def test_the_object_is_plain_gzip_and_the_same_every_time() -> None:
    part = part_of(entries_of(demands(range(100))), {})
    body = part.compressed()
    assert body == part.compressed()
    assert gzip.decompress(body) == part.plain == gunzipped(body)
    assert body[4:8] == b"\0\0\0\0"  # the time in gzip's header


def test_the_digest_is_that_of_the_plain_lines() -> None:
    part = part_of(entries_of(demands([1])), {})
    metadata = part.metadata(b"whatever the compressor made of it")
    assert metadata["plain-sha256"] == part.digest
    assert metadata["rows"] == "1"
    assert metadata["first-time"] == metadata["last-time"] == "2026-03-10T17:00:01Z"


def test_several_gzip_members_are_one_object() -> None:
    assert gunzipped(gzip.compress(b"a\n") + gzip.compress(b"b\n")) == b"a\nb\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not gzip",
        gzip.compress(b"x" * 1000)[:-4],
        gzip.compress(b"x") + b"tail",
        zlib.compress(b"x"),
    ],
)
def test_what_is_not_whole_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"not gzip|cut short"):
        gunzipped(body)


def test_what_unpacks_to_more_than_any_object_of_ours_is_refused() -> None:
    assert gunzipped(gzip.compress(bytes(LARGEST_OBJECT))) == bytes(LARGEST_OBJECT)
    half = gzip.compress(bytes(LARGEST_OBJECT // 2))
    for body in (
        gzip.compress(bytes(LARGEST_OBJECT + 1)),
        3 * half,
        2 * half + gzip.compress(b"x"),
    ):
        with pytest.raises(ValueError, match="unpacks to more than 16 MiB"):
            gunzipped(body)
    with pytest.raises(ValueError, match="more than 100 gzip members"):
        gunzipped(200_000 * gzip.compress(b""))


def test_two_readings_without_a_time_that_arrive_in_the_same_second_are_both_kept() -> None:
    arrived = HOUR.start + 7.5
    undated = [
        Undated("", "", Kind.PRICE, {"price": Decimal(cents).scaleb(-2)}, {}) for cents in (25, 26)
    ]
    texts = [encode_line(CLOUD_ID, one.dated(arrived), arrived).rstrip() for one in undated]
    lines = [
        json.loads(text) for text in part_of(entries_of(*texts, *texts), {}).plain.splitlines()
    ]
    assert [one["price"] for one in lines] == [0.25, 0.26]
    assert all(one["flags"] == ["conflict", "filed_by_arrival"] for one in lines)


@given(st.lists(lines(few=True), max_size=8), st.data())
def test_what_a_newer_version_wrote_is_archived_byte_for_byte_and_once(
    texts: list[bytes], data: st.DataObject
) -> None:
    newer = [data.draw(st.sampled_from(_NEWER))(text) for text in texts]
    content = PartContent(b"\n".join([*newer, *newer]), CLOUD_ID)
    assert not content.unreadable
    part = content.part({})
    assert {_without_flags(text) for text in part.plain.splitlines()} <= {
        _without_flags(text) for text in newer
    }
    assert {_unarrived(text) for text in part.plain.splitlines()} == {
        _unarrived(text) for text in newer
    }
    assert not content.part(values_by_identity(entries_of(part.plain))).rows, (
        "a part holds what was read from it"
    )


_NEWER = (
    lambda text: text,
    lambda text: text.replace(b'"v":1', b'"v":2'),
    lambda text: text.replace(b'"kind":"demand"', b'"kind":"gas"'),
    lambda text: text.replace(
        b'"flags":[', b'"flags":["odd"' + (b"" if b'"flags":[]' in text else b",")
    ),
    lambda text: text.replace(b'"raw"', b'"more":{"a":[1,2.50]},"raw"'),
    lambda text: text.removesuffix(b"}") + b',"weather":"snow"}',
)


def _without_flags(text: bytes) -> str:
    return json.dumps({**json.loads(text), "flags": None})


def _unarrived(text: bytes) -> str:
    """What decides that two lines say the same: of equal readings the first is kept."""
    whole = json.loads(text)
    newer = whole["v"] != 1
    return json.dumps(
        {
            name: value
            for name, value in whole.items()
            if name not in ({"arrived"} if newer else _NOT_COMPARED)
        }
    )


_NOT_COMPARED = {"arrived", "raw", "flags"}
