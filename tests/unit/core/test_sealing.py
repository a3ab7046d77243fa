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


def lines_of(*texts: bytes) -> list[LogLine]:
    readable, unreadable = read_lines(b"\n".join(texts), CLOUD_ID)
    assert not unreadable
    return readable


def readings_of(plain: bytes) -> list[tuple[object, bytes]]:
    return [(line.identity, line.values) for line in lines_of(plain)]


def test_the_lines_of_a_part_are_in_order_of_time() -> None:
    part = part_of(lines_of(demand(9, 1), demand(3, 2), demand(5, 3)), {})
    assert part.plain == demand(3, 2) + demand(5, 3) + demand(9, 1)
    assert (part.rows, part.first, part.last) == (3, "2026-03-10T17:00:03Z", "2026-03-10T17:00:09Z")


def test_of_equal_readings_the_first_that_arrived_is_kept() -> None:
    early, late = (demand(3, 2, arrived=1773162100 + seconds) for seconds in (0, 60))
    part = part_of(lines_of(late, early, late), {})
    assert (part.plain, part.duplicates) == (early, 2)


def test_two_values_of_one_identity_are_both_kept_and_flagged() -> None:
    part = part_of(lines_of(demand(3, 2), demand(3, 4), demand(5, 1)), {})
    assert [json.loads(line)["flags"] for line in part.plain.splitlines()] == [
        ["conflict"],
        ["conflict"],
        [],
    ]
    assert (part.rows, part.conflicts, part.duplicates) == (3, 2, 0)


def test_a_reading_that_an_earlier_part_holds_is_left_out() -> None:
    earlier = part_of(lines_of(demands([1, 2, 3])), {})
    part = part_of(lines_of(demands([2, 3, 4, 4])), values_by_identity(lines_of(earlier.plain)))
    assert (part.plain, part.archived, part.duplicates) == (demands([4]), 2, 1)


def test_a_value_that_differs_from_an_earlier_part_is_kept_and_flagged() -> None:
    part = part_of(lines_of(demand(1, 7)), values_by_identity(lines_of(demand(1, 6))))
    assert (part.rows, part.conflicts) == (1, 1)
    assert b'"flags":["conflict"]' in part.plain


def test_a_part_without_a_new_reading_is_empty() -> None:
    part = part_of(lines_of(demands([1])), values_by_identity(lines_of(demands([1]))))
    assert (part.rows, part.plain, part.first, part.last) == (0, b"", "", "")


@given(some_lines, st.randoms())
def test_the_order_of_the_lines_does_not_matter(texts: list[bytes], random: object) -> None:
    shuffled = list(texts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert part_of(lines_of(*shuffled), {}) == part_of(lines_of(*texts), {})


@given(some_lines)
def test_sealing_a_sealed_part_changes_nothing(texts: list[bytes]) -> None:
    once = part_of(lines_of(*texts), {})
    again = part_of(lines_of(once.plain), {})
    assert (again.plain, again.duplicates) == (once.plain, 0)


@given(st.lists(some_lines, max_size=5))
def test_parts_together_hold_every_reading_exactly_once(files: list[list[bytes]]) -> None:
    parts: list[Part] = []
    for texts in files:
        parts.append(
            part_of(lines_of(*texts), values_by_identity(lines_of(*(part.plain for part in parts))))
        )
    archived = [reading for part in parts for reading in readings_of(part.plain)]
    assert len(archived) == len(set(archived))
    assert set(archived) == {
        reading for texts in files for text in texts for reading in readings_of(text)
    }
    for part, texts in zip(parts, files, strict=True):
        assert part.rows + part.duplicates + part.archived == len(texts)


@given(some_lines, st.data())
def test_a_part_is_the_same_whether_or_not_its_lines_are_parsed(
    texts: list[bytes], data: st.DataObject
) -> None:
    lines_of_a_file = data.draw(st.sampled_from([texts, sealed_lines(texts)]))
    end = data.draw(st.sampled_from([b"", b"\n", b'{"v":1,']))
    sound = b"".join(text + b"\n" for text in lines_of_a_file) + end
    at = data.draw(st.integers(0, len(sound)))
    damage = data.draw(st.sampled_from([b"", b"\n", b"0", b'"', b"\xff"]))
    for plain in (sound, sound[:at] + damage + sound[at + 1 :]):
        readable, unreadable = read_lines(plain, CLOUD_ID)
        content = PartContent(plain, CLOUD_ID)
        held = values_by_identity(readable[:1]) if data.draw(st.booleans()) else {}
        assert content.part(held) == part_of(readable, held)
        assert (content.lines, content.unreadable) == (readable, unreadable)


def sealed_lines(texts: list[bytes]) -> list[bytes]:
    return part_of(lines_of(*texts), {}).plain.splitlines()


def test_only_a_sound_file_is_archived_without_parsing_its_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = demands(range(1, 50))
    changed = {
        "out of order": demand(2, 1) + demand(1, 1),
        "twice": demand(1, 1) + demand(1, 1, arrived=1773162200),
        "torn": sound + b'{"v":1',
        "no newline": sound[:-1],
        "not a day": sound.replace(b"2026-03-10T17:00:07Z", b"2026-02-30T17:00:07Z"),
        "not a day of arrival": sound.replace(
            b'"arrived":"2026-03-10', b'"arrived":"2026-02-30', 1
        ),
        "another's": sound.replace(CLOUD_ID.encode(), b"00ce69", 1),
        "not a device": sound.replace(b"0xd8d5b9000000abcd", b"0xd8d5b9000000abc", 1),
        "not a kind": sound.replace(b'"demand"', b'"demands"', 1),
        "nothing": b"",
    }
    assert times_in_order(sound, CLOUD_ID) == [line.time for line in lines_of(sound)]
    assert {
        why: times_in_order(plain, CLOUD_ID) for why, plain in changed.items()
    } == dict.fromkeys(changed)
    monkeypatch.delattr(sealing, "read_lines")
    content = PartContent(sound, CLOUD_ID)
    assert (content.part({}).plain, content.part({}).rows, content.unreadable) == (sound, 49, [])


def test_the_object_is_plain_gzip_and_the_same_every_time() -> None:
    part = part_of(lines_of(demands(range(100))), {})
    body = part.compressed()
    assert body == part.compressed()
    assert gzip.decompress(body) == part.plain == gunzipped(body)
    assert body[4:8] == b"\0\0\0\0"  # the time in gzip's header


def test_the_digest_is_that_of_the_plain_lines() -> None:
    part = part_of(lines_of(demands([1])), {})
    metadata = part.metadata(b"any bytes of a compressor")
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
    ids=["nothing", "not gzip", "cut off", "with a tail", "zlib"],
)
def test_an_object_that_is_not_whole_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"not gzip|cut short"):
        gunzipped(body)


def test_an_object_that_is_larger_than_any_the_program_writes_is_refused() -> None:
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
    texts = [encode_line(CLOUD_ID, price.dated(arrived), arrived).rstrip() for price in undated]
    part = part_of(lines_of(*texts, *texts), {})
    archived = [json.loads(text) for text in part.plain.splitlines()]
    assert [line["price"] for line in archived] == [0.25, 0.26]
    assert all(line["flags"] == ["conflict", "filed_by_arrival"] for line in archived)


@given(st.lists(lines(few=True), max_size=8), st.data())
def test_lines_of_a_newer_version_are_archived_byte_for_byte_and_once(
    texts: list[bytes], data: st.DataObject
) -> None:
    newer = [data.draw(st.sampled_from(_NEWER))(text) for text in texts]
    content = PartContent(b"\n".join([*newer, *newer]), CLOUD_ID)
    assert not content.unreadable
    part = content.part({})
    assert {_without_flags(text) for text in part.plain.splitlines()} <= {
        _without_flags(text) for text in newer
    }
    assert {_compared_members(text) for text in part.plain.splitlines()} == {
        _compared_members(text) for text in newer
    }
    assert not content.part(values_by_identity(lines_of(part.plain))).rows, (
        "a part holds the readings that are read from it"
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


def _compared_members(text: bytes) -> str:
    """The members that decide whether two lines hold the same reading."""
    members = json.loads(text)
    ignored = _NOT_COMPARED if members["v"] == 1 else {"arrived"}
    return json.dumps({name: value for name, value in members.items() if name not in ignored})


_NOT_COMPARED = {"arrived", "raw", "flags"}
