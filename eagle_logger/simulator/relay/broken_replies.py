"""How a body is spoilt: what is sent in place of it, and which of its readings a correct decoder
still gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from random import Random
from typing import NamedTuple

from eagle_logger.simulator.relay import faults, odd_spelling
from eagle_logger.simulator.relay.gateway import NotificationsReply
from eagle_logger.simulator.relay.notifications import Notification, RenderedText
from eagle_logger.simulator.relay.reply_plan import Spoiler

_STATUS_TEXTS = {408: "Request Timeout", 503: "Timeout waiting for response"}

NO_TIME = ("0xffffffff", "0x00000000", "0xffffff", "")
NO_DEMAND = ("0x800000", "0xff800000")
NO_PRICE = (("Price", "0xffffffff"), ("TrailingDigits", "0x0f"), ("TrailingDigits", "0xff"))


class BrokenReply(NamedTuple):
    body: bytes
    said: Sequence[RenderedText]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def spoilt(
    spoiler: Spoiler,
    words: NotificationsReply,
    encode: Callable[[NotificationsReply], bytes],
    chance: int,
    *,
    is_json: bool,
) -> BrokenReply:
    """What becomes of these words. `encode` puts them in bytes; `chance` is what is drawn from."""
    whole = [one.said for one in words.notifications if one.said]
    match spoiler:
        case faults.FaultStatus():
            return _status(spoiler)
        case faults.Empty():
            return BrokenReply(b"", ())
        case faults.ErrorText():
            return BrokenReply(spoiler.text.encode(), ())
        case faults.ErrorXml():
            return BrokenReply(
                f"<Error>\r\n  <Text>{spoiler.text}</Text>\r\n</Error>\r\n".encode(), ()
            )
        case faults.Garbage():
            return BrokenReply(_noise(spoiler.length, chance), ())
        case faults.Huge():
            return BrokenReply(_endless(spoiler.length), ())
        case faults.Flood():
            return BrokenReply(_flood(spoiler.length, words, chance), ())
        case faults.Truncated():
            return BrokenReply(*_truncated(words, encode, chance))
    if is_json:
        return BrokenReply(encode(words), whole)
    match spoiler:
        case faults.Restarted():
            cut, _ = _truncated(
                NotificationsReply(words.notifications[:1], words.list_root), encode, chance
            )
            return BrokenReply(cut + encode(words), whole)
        case faults.Doubled():
            return BrokenReply(encode(words) * 2, whole * 2)
        case faults.Dirty():
            return BrokenReply(
                odd_spelling.dirty(words, spoiler.ways[chance % len(spoiler.ways)], chance, encode),
                whole,
            )


def with_sentinel(
    rule: faults.Sentinel, words: NotificationsReply, chance: int
) -> NotificationsReply:
    """The same words, each saying "no reading" or "no time"."""
    return NotificationsReply(
        [_no_reading(one, rule.of, chance) for one in words.notifications], words.list_root
    )


def _no_reading(one: Notification, of: str | None, chance: int) -> Notification:
    values = {"demand": [("Demand", text) for text in NO_DEMAND], "price": list(NO_PRICE)}
    choices = values.get(one.said.kind, []) if one.said and of != "time" else []
    if of != "value" or not choices:
        choices = choices + [("TimeStamp", text) for text in NO_TIME]
    name, text = choices[chance % len(choices)]
    fields = [(field, text if field == name else value) for field, value in one.fields]
    said = one.said.undated() if one.said and name == "TimeStamp" else None
    return Notification(one.root, fields, said)


def _status(rule: faults.FaultStatus) -> BrokenReply:
    text = (
        _STATUS_TEXTS.get(rule.status, HTTPStatus(rule.status).phrase)
        if rule.text is None
        else rule.text
    )
    headers = () if rule.retry_after is None else (("Retry-After", str(rule.retry_after)),)
    return BrokenReply(text.encode(), (), rule.status, headers)


def _truncated(
    words: NotificationsReply, encode: Callable[[NotificationsReply], bytes], chance: int
) -> tuple[bytes, list[RenderedText]]:
    """The words broken off in the last fragment (in the first of a list), well before its end; and
    what was whole by then."""
    notifications = words.notifications
    whole, broken = (
        (notifications[:-1], notifications[-1:]) if not words.list_root else ([], notifications[:1])
    )
    before = encode(NotificationsReply(whole)) if whole else b""
    last = encode(NotificationsReply(broken, words.list_root))
    cut = len(last) * (5 + chance % 75) // 100
    return before + last[:cut], [one.said for one in whole if one.said]


def _noise(length: int, chance: int) -> bytes:
    return Random(chance).randbytes(length)  # noqa: S311  (noise, not a secret)


def _endless(length: int) -> bytes:
    line = b"<InstantaneousDemand><Demand>0x" + b"0" * 65536
    return (line * (length // len(line) + 1))[:length]


def _flood(length: int, words: NotificationsReply, chance: int) -> bytes:
    times = [
        text for one in words.notifications for name, text in one.fields if name == "TimeStamp"
    ]
    before = "<InstantaneousDemand><MeterMacId>0x"
    behind = (
        f"</MeterMacId><TimeStamp>{times[0] if times else '0x0'}</TimeStamp><Demand>0x0003b0</Demand>"
        "<Divisor>0x3e8</Divisor></InstantaneousDemand>"
    )
    count = length // len(f"{before}{0:016x}{behind}") + 1
    return "".join(
        [f"{before}{(chance + meter) % 2**64:016x}{behind}" for meter in range(count)]
    ).encode()[:length]
