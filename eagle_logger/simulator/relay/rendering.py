"""Notifications as bytes: XML fragments as gateways write them, and their JSON with its faults."""

from __future__ import annotations

import json
from html import escape

from eagle_logger.simulator.relay.gateway import NotificationsReply
from eagle_logger.simulator.relay.notifications import Notification

ENCODING = "cp1252"
"""What the gateways' firmware takes text to be; nothing in a reply says so."""


def xml(words: NotificationsReply) -> bytes:
    """A bare fragment: no declaration, CRLF lines, one root (or, for a list, one that holds them
    all)."""
    inner = "".join(map(fragment, words.notifications))
    if words.list_root:
        inner = f"<{words.list_root}>\r\n{inner}</{words.list_root}>\r\n"
    return inner.encode(ENCODING, "xmlcharrefreplace")


def fragment(notification: Notification) -> str:
    lines = "".join(
        [f"  <{name}>{_escaped(text)}</{name}>\r\n" for name, text in notification.fields]
    )
    return f"<{notification.root}>\r\n{lines}</{notification.root}>\r\n"


def as_json(words: NotificationsReply) -> bytes:
    """The same members, all of them strings; a list comes without the outer braces, as it does from
    a gateway."""
    members = [(one.root, dict(one.fields)) for one in words.notifications]
    if words.list_root:
        inner = json.dumps({root: [fields for _, fields in members] for root, _ in members[:1]})
        text = f'"{words.list_root}": {inner}\r\n'
    else:
        text = "".join(json.dumps({root: fields}) + "\r\n" for root, fields in members)
    return text.encode()


def _escaped(text: str) -> str:
    return escape(text, quote=False) if "&" in text or "<" in text else text
