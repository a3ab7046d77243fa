"""Notifications as bytes: XML fragments, or JSON with its faults, as gateways write them."""

from __future__ import annotations

import json
from html import escape

from eagle_logger.simulator.relay.gateway import GatewayAnswer
from eagle_logger.simulator.relay.notifications import Notification

ENCODING = "cp1252"
"""The encoding of texts (captured). Nothing in a reply names it."""


def xml(answer: GatewayAnswer) -> bytes:
    """Bare fragments without an XML declaration, with CRLF at the ends of lines (captured)."""
    body = "".join(map(_fragment, answer.notifications))
    if answer.list_root:
        body = f"<{answer.list_root}>\r\n{body}</{answer.list_root}>\r\n"
    return body.encode(ENCODING, "xmlcharrefreplace")


def as_json(answer: GatewayAnswer) -> bytes:
    """The same members, all of them strings. A list lacks the outer braces (captured)."""
    members = [(root, dict(fields)) for root, fields, _ in answer.notifications]
    if answer.list_root:
        inner = json.dumps({root: [fields for _, fields in members] for root, _ in members[:1]})
        text = f'"{answer.list_root}": {inner}\r\n'
    else:
        text = "".join(json.dumps({root: fields}) + "\r\n" for root, fields in members)
    return text.encode()


def _fragment(notification: Notification) -> str:
    lines = "".join(
        [f"  <{name}>{_escape_markup(text)}</{name}>\r\n" for name, text in notification.fields]
    )
    return f"<{notification.root}>\r\n{lines}</{notification.root}>\r\n"


def _escape_markup(text: str) -> str:
    return escape(text, quote=False) if "&" in text or "<" in text else text
