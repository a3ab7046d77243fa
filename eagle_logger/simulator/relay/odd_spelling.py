"""XML in the odd spellings of gateways: every reading is still there, complete.

Unless a function says otherwise, its spelling was captured from gateways.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from eagle_logger.simulator.relay.faults import DirtyWay
from eagle_logger.simulator.relay.gateway import GatewayAnswer
from eagle_logger.simulator.relay.notifications import Fields, Notification

OPTIONAL_FIELDS = frozenset(
    {"DigitsRight", "DigitsLeft", "SuppressLeadingZero", "StartTime", "Duration", "Read", "Queue"}
)
"""Fields that no value depends on."""
_TEXT_START = re.compile(rb"(<(?:Text|RateLabel|TierLabel)>)([A-Za-z])")
_NETWORK_STATUS = (
    b"<NetworkStatus>\r\n  <Status>Connected</Status>\r\n  <Channel>14</Channel>\r\n"
    b"</NetworkStatus>\r\n"
)


def dirty_xml(
    answer: GatewayAnswer,
    way: DirtyWay,
    random_bits: int,
    encode: Callable[[GatewayAnswer], bytes],
) -> bytes:
    """The answer's XML, spelled in this way. What the way does not apply to stays as it is."""
    if way in _CHANGES_OF_BYTES:
        return _CHANGES_OF_BYTES[way](encode(answer))
    change, random = _CHANGES[way], Random(random_bits)  # noqa: S311  (dirt, not secrets)
    notifications = [change(notification, random) for notification in answer.notifications]
    return encode(GatewayAnswer(notifications, answer.list_root))


def _upper(notification: Notification, random: Random) -> Notification:
    """Tags in any case (the vendor's manual declares it insignificant)."""
    fields = [
        (random.choice((name.upper(), name.lower())), text) for name, text in notification.fields
    ]
    return notification._replace(root=notification.root.upper(), fields=fields)


def _shuffled(notification: Notification, random: Random) -> Notification:
    fields = notification.fields
    return notification._replace(fields=random.sample(fields, len(fields)))


def _repeated(notification: Notification, random: Random) -> Notification:
    fields = notification.fields
    return notification._replace(fields=[*fields, random.choice(fields)])


def _empty(notification: Notification, _random: Random) -> Notification:
    fields: Fields = [
        (name, "" if name in OPTIONAL_FIELDS else text) for name, text in notification.fields
    ]
    return notification._replace(fields=fields)


def _missing(notification: Notification, _random: Random) -> Notification:
    fields = [field for field in notification.fields if field[0] not in OPTIONAL_FIELDS]
    return notification._replace(fields=fields)


def _renamed(notification: Notification, _random: Random) -> Notification:
    """`CurrentSummationDelivered` for `CurrentSummation`."""
    if notification.root != "CurrentSummation":
        return notification
    return notification._replace(root="CurrentSummationDelivered")


def _blanks(body: bytes) -> bytes:
    return b" \t\r\n\n" + body.replace(b"\r\n  ", b"").replace(b"\r\n", b"\n")


def _bom(body: bytes) -> bytes:
    """A byte-order mark in front of UTF-8."""
    return "\N{ZERO WIDTH NO-BREAK SPACE}".encode() + body.decode("cp1252").encode()


def _entities(body: bytes) -> bytes:
    """HTML escapes in texts and labels: here, for the first letter."""
    return _TEXT_START.sub(lambda match: match[1] + b"&#x%x;" % match[2][0], body)


def _unclosed(body: bytes) -> bytes:
    """A root that is left unclosed, behind a complete one."""
    return body + b"<NetworkStatus>\r\n  <Status>Rejoining</Status>\r\n  <Channel>"


def _several(body: bytes) -> bytes:
    """Several roots in one body."""
    return _NETWORK_STATUS + body


_CHANGES: dict[str, Callable[[Notification, Random], Notification]] = {
    "upper": _upper,
    "shuffled": _shuffled,
    "repeated": _repeated,
    "empty": _empty,
    "missing": _missing,
    "renamed": _renamed,
}
_CHANGES_OF_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "blanks": _blanks,
    "bom": _bom,
    "entities": _entities,
    "unclosed": _unclosed,
    "several": _several,
}
