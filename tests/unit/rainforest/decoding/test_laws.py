"""What holds for every reply, however it is spelled and however it was damaged on its way."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_logger.core.line_format import encode_line, parse_line, value_text
from eagle_logger.core.readings import Reading, Undated
from eagle_logger.errors import EagleError
from eagle_logger.rainforest.decoding.decode import (
    LARGEST_BODY,
    MOST_PROBLEMS,
    decode,
    decode_text,
    text_of,
)
from eagle_logger.rainforest.decoding.plain_demand import plain_demand
from eagle_logger.rainforest.decoding.reply import interpret
from eagle_logger.rainforest.source import Decoded
from tests.support import replies
from tests.support.replies import Notification, stands_whole
from tests.unit.rainforest.decoding.quirks.quirk import WHOLE

law = settings(max_examples=40, deadline=None)
_DEMAND = (
    *("DeviceMacId", "MeterMacId", "TimeStamp", "Demand", "Multiplier", "Divisor"),
    *("DigitsRight", "DigitsLeft", "SuppressLeadingZero"),
)
_several = st.lists(replies.readings | replies.others, min_size=1, max_size=4)
_spellings = pytest.mark.parametrize(
    "spelled", [replies.xml_replies, replies.json_replies], ids=["xml", "json"]
)


def with_reading(sent: Sequence[Notification]) -> list[Notification]:
    return [notification for notification in sent if notification.expected is not None]


def assert_readings(readings: Sequence[Reading], sent: Sequence[Notification]) -> None:
    expected = with_reading(sent)
    assert len(readings) == len(expected)
    for reading, notification in zip(readings, expected, strict=True):
        assert notification.was_decoded_as(reading), (reading, notification)


@_spellings
@law
@given(data=st.data(), sent=_several)
def test_every_reading_comes_back(
    data: st.DataObject, sent: list[Notification], spelled: object
) -> None:
    decoded = decode(data.draw(spelled(sent)))  # type: ignore[operator]
    assert_readings(decoded.readings, sent)
    assert decoded.problems == ()
    assert decoded.known


@law
@given(data=st.data(), sent=st.lists(replies.readings, min_size=1, max_size=2))
def test_a_reading_comes_back_from_cp1252(data: st.DataObject, sent: list[Notification]) -> None:
    text = data.draw(replies.xml_replies(sent)).decode()
    body = text.encode("cp1252", "xmlcharrefreplace")
    if text_of(body) == text.lstrip():  # text that happens to be UTF-8 too is read as UTF-8
        assert_readings(decode(body).readings, sent)


@law
@given(data=st.data(), sent=st.lists(replies.readings, min_size=1, max_size=3))
def test_a_reply_that_is_cut_off_keeps_its_whole_notifications_and_nothing_else(
    data: st.DataObject, sent: list[Notification]
) -> None:
    pieces = [data.draw(replies.xml_fragment(notification)).encode() for notification in sent]
    kept = data.draw(st.integers(0, len(sent) - 1))
    cut = data.draw(st.integers(1, len(pieces[kept]) - 1))
    decoded = decode(b"".join(pieces[:kept]) + pieces[kept][:cut])
    assert_readings(decoded.readings, sent[:kept])
    assert decoded.problems


@pytest.mark.parametrize(
    ("begin", "end"),
    [("<!-- ", " -->"), ("<![CDATA[", "]]>"), ('<!DOCTYPE x [<!ENTITY a "', '">]>')],
    ids=["comment", "cdata", "doctype"],
)
@law
@given(data=st.data(), hidden=st.lists(replies.readings, min_size=1, max_size=2))
def test_no_prefix_of_a_reply_uncovers_what_the_whole_reply_hides(
    data: st.DataObject, hidden: list[Notification], begin: str, end: str
) -> None:
    body = (
        begin.encode()
        + b"".join(
            data.draw(replies.xml_fragment(notification)).encode() for notification in hidden
        )
        + end.encode()
    )
    assert decode(body).readings == ()
    assert decode(body[: data.draw(st.integers(0, len(body)))]).readings == ()


@law
@given(
    data=st.data(),
    cut_off=replies.readings,
    sent=st.lists(replies.readings, min_size=1, max_size=2),
)
def test_a_truncated_xml_notification_costs_only_itself(
    data: st.DataObject, cut_off: Notification, sent: list[Notification]
) -> None:
    first = data.draw(replies.xml_fragment(cut_off)).encode()
    cut = data.draw(st.integers(1, len(first) - 1))
    decoded = decode(first[:cut] + data.draw(replies.xml_replies(sent)))
    assert_readings(decoded.readings, sent)
    assert decoded.problems


@law
@given(
    data=st.data(),
    cut_off=replies.readings,
    sent=st.lists(replies.readings, min_size=1, max_size=2),
)
def test_a_truncated_json_notification_costs_only_itself(
    data: st.DataObject, cut_off: Notification, sent: list[Notification]
) -> None:
    first = data.draw(replies.json_replies([cut_off])).strip()
    cut = data.draw(st.integers(len(cut_off.root) + 8, len(first) - 2))
    decoded = decode(first[:cut] + data.draw(replies.json_replies(sent)))
    assert_readings(
        [
            reading
            for reading in decoded.readings
            if reading.time != cut_off.time or len(decoded.readings) == len(sent)
        ],
        sent,
    )


def all_of(decoded: Decoded) -> list[Reading | Undated]:
    return [*decoded.readings, *decoded.undated]


@_spellings
@law
@given(data=st.data(), first=_several, second=_several)
def test_a_splice_invents_nothing(
    data: st.DataObject, first: list[Notification], second: list[Notification], spelled: object
) -> None:
    head, tail = data.draw(spelled(first)), data.draw(spelled(second))  # type: ignore[operator]
    spliced = (
        head[: data.draw(st.integers(0, len(head)))] + tail[data.draw(st.integers(0, len(tail))) :]
    )
    decoded = decode(spliced)
    for reading in all_of(decoded):
        assert stands_whole(reading, text_of(spliced))


@_spellings
@law
@given(data=st.data(), sent=_several, byte=st.integers(0, 255))
def test_a_flipped_byte_invents_nothing(
    data: st.DataObject, sent: list[Notification], byte: int, spelled: object
) -> None:
    body = bytearray(data.draw(spelled(sent)))  # type: ignore[operator]
    body[data.draw(st.integers(0, len(body) - 1))] = byte
    decoded = decode(bytes(body))
    for reading in all_of(decoded):
        assert stands_whole(reading, text_of(bytes(body)))
    unharmed = [
        notification
        for notification in with_reading(sent)
        if any(notification.was_decoded_as(reading) for reading in decoded.readings)
    ]
    assert len(unharmed) >= len(with_reading(sent)) - 2


_hex = st.integers(0, 2**32 - 1).map("0x{:08x}".format) | st.sampled_from(
    ["0x0003b0", "0x1", "0x3E8", "0xffffff", "0xff800000"]
)
_macs = st.sampled_from(
    ["0xd8d5b9000000abcd", "0x0013500100000001", "0xD8D5B9000000ABCD", "0x00135001"]
)


@law
@given(
    st.tuples(_macs, _macs, *[_hex] * 6, st.sampled_from("YN")),
    st.sampled_from(["\r\n", "", " \n\t"]),
    st.data(),
)
def test_the_short_way_reads_a_demand_as_the_long_way_does(
    texts: tuple[str, ...], blank: str, data: st.DataObject
) -> None:
    elements = blank.join(
        f"<{name}>{text}</{name}>" for name, text in zip(_DEMAND, texts, strict=True)
    )
    text = blank.join(["<InstantaneousDemand>", elements, "</InstantaneousDemand>", ""])
    at, other = (
        data.draw(st.integers(0, len(text) - 1)),
        data.draw(st.characters(max_codepoint=255)),
    )
    for variant in (text, text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :]):
        reading = plain_demand(variant)
        assert reading is None or decode_text(variant) == Decoded((reading,), (), known=True)


def test_a_demand_as_firmware_spells_it_takes_the_short_way() -> None:
    texts = (
        *("0xd8d5b9000000abcd", "0x0013500100000001", "0x1c91ec39", "0xfffc50", "0x00000001"),
        *("0x000003e8", "0x03", "0x06", "Y"),
    )
    lines = [f"<{name}>{text}</{name}>" for name, text in zip(_DEMAND, texts, strict=True)]
    reading = plain_demand(
        "\r\n".join(["<InstantaneousDemand>", *lines, "</InstantaneousDemand>", ""])
    )
    assert reading is not None
    assert (reading.time, reading.values["value"]) == (1_426_010_041, Decimal("-0.944"))


@law
@given(st.binary(max_size=400))
def test_any_bytes_are_decoded_to_something(body: bytes) -> None:
    decoded = decode(body)
    assert decoded.readings == ()
    assert bool(decoded.problems) or not "".join(text_of(body).split()).strip("{}[],")


@law
@given(data=st.data(), sent=_several)
def test_secrets_stay_secret(data: st.DataObject, sent: list[Notification]) -> None:
    body = data.draw(replies.xml_replies(sent) | replies.json_replies(sent))
    cut = data.draw(st.integers(0, len(body)))
    for part in (body, body[:cut], body[cut:]):
        decoded = decode(part)
        assert not any(
            replies.SECRET[at : at + 5] in repr(decoded) for at in range(2, len(replies.SECRET) - 5)
        )


@law
@given(data=st.data(), sent=replies.readings)
def test_a_reading_comes_back_from_its_log_line(data: st.DataObject, sent: Notification) -> None:
    (reading,) = decode(data.draw(replies.xml_replies([sent]))).readings
    text = encode_line("00ce69", reading, reading.time + 4.25)
    line = parse_line(text.rstrip(b"\n"))
    assert line.identity == reading.identity
    assert line.values == value_text(reading.values)
    assert line.data["raw"] == dict(reading.raw)


def test_only_the_beginning_of_a_body_that_is_too_large_is_read() -> None:
    nothing = decode(b"<InstantaneousDemand>" + b" " * LARGEST_BODY)
    assert not nothing.readings
    assert [problem.what for problem in nothing.problems] == ["too_large", "truncated"]
    assert all(len(problem.sample) <= 4096 for problem in nothing.problems)
    something = decode(WHOLE + b"<InstantaneousDemand>" * LARGEST_BODY)
    assert len(something.readings) == 1
    assert something.problems[0].what == "too_large"
    assert len(something.problems) <= MOST_PROBLEMS + 1


@pytest.mark.parametrize("as_json", [False, True], ids=["xml", "json"])
@pytest.mark.parametrize("closed", [False, True], ids=["cut off", "whole"])
def test_the_first_of_many_notifications_are_read_and_the_rest_is_a_problem(
    *, as_json: bool, closed: bool
) -> None:
    kept, many = (
        b"".join(_numbered(number, as_json=as_json) for number in range(count))
        for count in (50, 60)
    )
    rest = (
        b"" if closed else b"<InstantaneousDemand>" if not as_json else b'"InstantaneousDemand": {'
    )
    assert len(decode(kept).readings) == 50
    assert not decode(kept).problems
    assert decode(many + rest).readings == decode(kept).readings
    (problem,) = decode(many + rest).problems
    assert problem.what == "too_many"
    assert "were not read" in problem.detail


def _numbered(number: int, *, as_json: bool) -> bytes:
    fields = {"MeterMacId": f"0x{number:016x}", "TimeStamp": "0x1c91ec39", "Demand": "0x0003b0"}
    if as_json:
        return b'"InstantaneousDemand": %b, ' % json.dumps(fields).encode()
    inside = "".join(f"<{name}>{text}</{name}>" for name, text in fields.items())
    return f"<InstantaneousDemand>{inside}</InstantaneousDemand>".encode()


_UNITS = (
    *(
        b"<",
        b"<!",
        b"<?",
        b"<?a?>",
        b"&amp;",
        b'"',
        b"{",
        b"[",
        b"\\",
        b"\xff",
        b"\xc3",
        b"\0",
        b" ",
    ),
    *(b"a-", b"x", b"0x", b"user", b"<user>", b"<user", b"user=", b'"user":', b'"user":"\\'),
    *(b"</user>", b"x </user>", b"a@", b"a.", b"&lt;user&gt;", b"<a>b"),
    *(b"<InstantaneousDemand>", b"</InstantaneousDemand>", b"<InstantaneousDemand/>"),
    *(b"<rainforest>", b"<rainforest ", b'"InstantaneousDemand":{', b'"InstantaneousDemand":[{'),
    *(b'"InstantaneousDemand":{"a":[1],', b"{},", b'"a":"1",', b"<a>1</a>", b"<a><", b"<a "),
    *(b"<!-- -->", b"<![CDATA[", b"<!DOCTYPE a[", b"wrong a b ", b"user ! "),
)
_BEGINNINGS = (b"", b"<MessageCluster><Text>", b'"InstantaneousDemand":[', b'"user":\\"')


@pytest.mark.parametrize("beginning", _BEGINNINGS, ids=repr)
def test_no_reply_takes_long(beginning: bytes) -> None:
    for unit in _UNITS:
        body = beginning + unit * (LARGEST_BODY // len(unit))
        began = time.process_time()
        with contextlib.suppress(EagleError):
            interpret(200, {}, body, ("made-up words", "jane@example.org"))
        # It takes some 20 ms. If that grew with the square of the length, it would be many seconds.
        assert time.process_time() - began < 1, unit
