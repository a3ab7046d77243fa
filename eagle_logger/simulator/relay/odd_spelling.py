"""Dirty XML, as captured from gateways: every reading is still there, whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from eagle_logger.simulator.relay.faults import Dirt
from eagle_logger.simulator.relay.gateway import NotificationsReply
from eagle_logger.simulator.relay.notifications import Fields, Notification

OPTIONAL = frozenset(
    {"DigitsRight", "DigitsLeft", "SuppressLeadingZero", "StartTime", "Duration", "Read", "Queue"}
)
"""Fields that no value depends on."""
_TEXT = re.compile(rb"(<(?:Text|RateLabel|TierLabel)>)([A-Za-z])")


def dirty(
    words: NotificationsReply, way: Dirt, chance: int, encode: Callable[[NotificationsReply], bytes]
) -> bytes:
    """These words in XML, dirty in this way. What the way does not apply to stays clean."""
    if way in _OF_FIELDS:
        change, random = _OF_FIELDS[way], Random(chance)  # noqa: S311  (dirt, not secrets)
        told = [
            Notification(_root(one, way), change(one.fields, random), one.said)
            for one in words.notifications
        ]
        return encode(NotificationsReply(told, words.list_root))
    if way == "renamed":
        return encode(
            NotificationsReply([_renamed(one) for one in words.notifications], words.list_root)
        )
    return _OF_BYTES[way](encode(words))


def _root(one: Notification, way: Dirt) -> str:
    return one.root.upper() if way == "upper" else one.root


def _shuffled(fields: Fields, random: Random) -> Fields:
    return random.sample(fields, len(fields))


def _repeated(fields: Fields, random: Random) -> Fields:
    again = random.choice(fields)
    return [*fields, again]


def _empty(fields: Fields, _random: Random) -> Fields:
    return [(name, "" if name in OPTIONAL else text) for name, text in fields]


def _missing(fields: Fields, _random: Random) -> Fields:
    return [(name, text) for name, text in fields if name not in OPTIONAL]


def _upper(fields: Fields, random: Random) -> Fields:
    return [(random.choice((name.upper(), name.lower())), text) for name, text in fields]


def _renamed(one: Notification) -> Notification:
    return one._replace(root="CurrentSummationDelivered") if one.root == "CurrentSummation" else one


def _blanks(body: bytes) -> bytes:
    return b" \t\r\n\n" + body.replace(b"\r\n  ", b"").replace(b"\r\n", b"\n")


def _bom(body: bytes) -> bytes:
    return "\N{ZERO WIDTH NO-BREAK SPACE}".encode() + body.decode("cp1252").encode()


def _entities(body: bytes) -> bytes:
    """Escaped text: the first letter of what people read."""
    return _TEXT.sub(lambda found: found[1] + b"&#x%x;" % found[2][0], body)


def _unclosed(body: bytes) -> bytes:
    return body + b"<NetworkStatus>\r\n  <Status>Rejoining</Status>\r\n  <Channel>"


def _several(body: bytes) -> bytes:
    status = b"<NetworkStatus>\r\n  <Status>Connected</Status>\r\n  <Channel>14</Channel>\r\n</NetworkStatus>\r\n"
    return status + body


_OF_FIELDS: dict[str, Callable[[Fields, Random], Fields]] = {
    "upper": _upper,
    "shuffled": _shuffled,
    "repeated": _repeated,
    "empty": _empty,
    "missing": _missing,
}
_OF_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "blanks": _blanks,
    "bom": _bom,
    "entities": _entities,
    "unclosed": _unclosed,
    "several": _several,
}
