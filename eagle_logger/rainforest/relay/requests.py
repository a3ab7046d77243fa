"""What the relay is asked: one command of Rainforest's protocol, as the body of a POST.

The protocol is that of the EAGLE-100, firmware 2.20 and later. It has more commands than these, and
also replies in JSON on request; those replies are faulty, so they are never requested.
"""

from __future__ import annotations

from functools import lru_cache
from xml.sax.saxutils import escape

from eagle_logger.core.kinds import KINDS, Kind


@lru_cache(4096)
def reading_request(kind: Kind, mac_id: str | None = None) -> bytes:
    """Ask for the gateway's current reading of this kind.

    `mac_id` is the EAGLE's own ZigBee MAC, not the meter's. It may be left out.
    """
    return _command(KINDS[kind].command, mac_id)


def network_info_request(mac_id: str | None = None) -> bytes:
    """Ask which gateway this is. The reply holds its install code and link keys: never keep it."""
    return _command("get_network_info", mac_id, Protocol="ZigBee")


def _command(name: str, mac_id: str | None, **parameters: str) -> bytes:
    """`parameters` are named as the protocol names their elements."""
    mac = {} if mac_id is None else {"MacId": mac_id}
    elements = {"Name": name, **mac, **parameters}
    inner = "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in elements.items())
    return f"<Command>{inner}</Command>".encode("ascii", "xmlcharrefreplace")
