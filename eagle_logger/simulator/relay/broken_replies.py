"""How a fault replaces or damages the body of a reply, and which readings a correct decoder still
gets from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from random import Random
from typing import NamedTuple

from eagle_logger.simulator.relay import faults, odd_spelling
from eagle_logger.simulator.relay.gateway import GatewayAnswer
from eagle_logger.simulator.relay.notifications import ExpectedReading, Notification
from eagle_logger.simulator.relay.reply_plan import BodyFault

_TEXT_OF_STATUS = {408: "Request Timeout", 503: "Timeout waiting for response"}
"""The texts that were captured; another status has the text of HTTP."""

NO_TIME_TEXTS = ("0xffffffff", "0x00000000", "0xffffff", "")
"""TimeStamps that mean "no time" (captured)."""
NO_DEMAND_TEXTS = ("0x800000", "0xff800000")
"""Demands that mean "no reading" (one client)."""
NO_PRICE_FIELDS = (("Price", "0xffffffff"), ("TrailingDigits", "0x0f"), ("TrailingDigits", "0xff"))
"""Fields each of which means that there is no price."""

Encode = Callable[[GatewayAnswer], bytes]


class BrokenReply(NamedTuple):
    body: bytes
    readings: Sequence[ExpectedReading]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def break_reply(
    fault: BodyFault, answer: GatewayAnswer, encode: Encode, random_bits: int, *, is_json: bool
) -> BrokenReply:
    """What the fault makes of the answer. A fault that is for XML only leaves JSON as it is."""
    match fault:
        case faults.ErrorStatus():
            return _error_status(fault)
        case faults.Empty():
            return BrokenReply(b"", ())
        case faults.ErrorText():
            return BrokenReply(fault.text.encode(), ())
        case faults.ErrorXml():
            error = f"<Error>\r\n  <Text>{fault.text}</Text>\r\n</Error>\r\n"
            return BrokenReply(error.encode(), ())
        case faults.Garbage():
            garbage = Random(random_bits).randbytes(fault.length)  # noqa: S311  (noise, not a secret)
            return BrokenReply(garbage, ())
        case faults.Huge():
            return BrokenReply(_huge_body(fault.length), ())
        case faults.Flood():
            return BrokenReply(_flood(fault.length, answer, random_bits), ())
        case faults.Truncated():
            return BrokenReply(*_truncate(answer, encode, random_bits))
    body, readings = encode(answer), answer.readings()
    if is_json:
        return BrokenReply(body, readings)
    match fault:
        case faults.Restarted():
            first = GatewayAnswer(answer.notifications[:1], answer.list_root)
            truncated, _ = _truncate(first, encode, random_bits)
            return BrokenReply(truncated + body, readings)
        case faults.Doubled():
            return BrokenReply(body * 2, readings * 2)
        case faults.Dirty():
            way = fault.ways[random_bits % len(fault.ways)]
            return BrokenReply(odd_spelling.dirty_xml(answer, way, random_bits, encode), readings)


def with_sentinel(rule: faults.Sentinel, answer: GatewayAnswer, random_bits: int) -> GatewayAnswer:
    """The answer with "no reading" or "no time" in each notification."""
    notifications = [
        _sentinel_notification(notification, rule.of, random_bits)
        for notification in answer.notifications
    ]
    return GatewayAnswer(notifications, answer.list_root)


def _sentinel_notification(
    notification: Notification, of: str | None, random_bits: int
) -> Notification:
    reading = notification.reading
    sentinels: list[tuple[str, str]] = []
    if reading is not None and of != "time":
        if reading.kind == "demand":
            sentinels += [("Demand", text) for text in NO_DEMAND_TEXTS]
        elif reading.kind == "price":
            sentinels += NO_PRICE_FIELDS
    if of != "value" or not sentinels:
        sentinels += [("TimeStamp", text) for text in NO_TIME_TEXTS]
    name, sentinel = sentinels[random_bits % len(sentinels)]
    fields = [(field, sentinel if field == name else text) for field, text in notification.fields]
    undated = reading.undated() if reading is not None and name == "TimeStamp" else None
    return Notification(notification.root, fields, undated)


def _error_status(fault: faults.ErrorStatus) -> BrokenReply:
    text = fault.text
    if text is None:
        text = _TEXT_OF_STATUS.get(fault.status, HTTPStatus(fault.status).phrase)
    headers = () if fault.retry_after is None else (("Retry-After", str(fault.retry_after)),)
    return BrokenReply(text.encode(), (), fault.status, headers)


def _truncate(
    answer: GatewayAnswer, encode: Encode, random_bits: int
) -> tuple[bytes, list[ExpectedReading]]:
    """The body, broken off well before the end of its last fragment, and the readings before it.

    A list breaks off in its first fragment.
    """
    if answer.list_root:
        complete, broken = GatewayAnswer([]), answer.notifications[:1]
    else:
        complete = GatewayAnswer(answer.notifications[:-1])
        broken = answer.notifications[-1:]
    body = encode(complete) if complete.notifications else b""
    last = encode(GatewayAnswer(broken, answer.list_root))
    percent_kept = 5 + random_bits % 75
    return body + last[: len(last) * percent_kept // 100], complete.readings()


def _huge_body(length: int) -> bytes:
    line = b"<InstantaneousDemand><Demand>0x" + b"0" * 65536
    return (line * (length // len(line) + 1))[:length]


def _flood(length: int, answer: GatewayAnswer, random_bits: int) -> bytes:
    """Demands with the answer's time, each of another meter, until the body is full."""
    times = [
        text
        for notification in answer.notifications
        for name, text in notification.fields
        if name == "TimeStamp"
    ]
    start = "<InstantaneousDemand><MeterMacId>0x"
    end = (
        f"</MeterMacId><TimeStamp>{times[0] if times else '0x0'}</TimeStamp>"
        "<Demand>0x0003b0</Demand><Divisor>0x3e8</Divisor></InstantaneousDemand>"
    )
    count = length // len(f"{start}{0:016x}{end}") + 1
    meters = [f"{(random_bits + number) % 2**64:016x}" for number in range(count)]
    return "".join([f"{start}{meter}{end}" for meter in meters]).encode()[:length]
