"""What the relay can be asked: every command, as the bytes of a POST's body (EAGLE-100, firmware
2.20 and later)."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from xml.sax.saxutils import escape

from eagle_logger.core.kinds import KINDS, Kind
from eagle_logger.rainforest.decoding.numbers import EPOCH


class Event(StrEnum):
    """What a gateway's schedules are about."""

    TIME = "time"
    MESSAGE = "message"
    PRICE = "price"
    SUMMATION = "summation"
    DEMAND = "demand"
    SCHEDULED_PRICES = "scheduled_prices"
    PROFILE_DATA = "profile_data"
    BILLING_PERIOD = "billing_period"
    BLOCK_PERIOD = "block_period"


class Target(StrEnum):
    """What `reboot` restarts."""

    ZIGBEE = "Zigbee"
    EAGLE = "Eagle"
    ALL = "All"


def command(
    name: str, *, mac_id: str | None = None, as_json: bool = False, **parameters: str | None
) -> bytes:
    """Any command. `mac_id` is the EAGLE's own ZigBee MAC, not the meter's; parameters that are
    None are left out.

    Parameter names are the protocol's elements (`StartTime`). JSON replies are faulty: XML is the
    safe mode.
    """
    elements = {"Name": name, "MacId": mac_id, **parameters, "Format": "JSON" if as_json else None}
    inner = "".join(
        f"<{tag}>{escape(text)}</{tag}>" for tag, text in elements.items() if text is not None
    )
    return f"<Command>{inner}</Command>".encode("ascii", "xmlcharrefreplace")


@lru_cache(4096)
def reading(kind: Kind, mac_id: str | None = None, *, as_json: bool = False) -> bytes:
    """Ask for the gateway's current reading of this kind."""
    return command(KINDS[kind].command, mac_id=mac_id, as_json=as_json)


def confirm_message(message_id: str, mac_id: str | None = None, *, as_json: bool = False) -> bytes:
    """`message_id` as the message gave it (`0x…`)."""
    return command("confirm_message", mac_id=mac_id, as_json=as_json, Id=message_id)


def network_info(mac_id: str | None = None, *, as_json: bool = False) -> bytes:
    """The reply holds the install code and link keys: never keep it."""
    return command("get_network_info", mac_id=mac_id, as_json=as_json, Protocol="ZigBee")


def network_status(mac_id: str | None = None, *, as_json: bool = False) -> bytes:
    return command("get_network_status", mac_id=mac_id, as_json=as_json, Protocol="ZigBee")


def list_network(mac_id: str | None = None) -> bytes:
    """In XML only: the array of its JSON reply is malformed."""
    return command("list_network", mac_id=mac_id)


def history(
    start: int,
    end: int | None = None,
    frequency: int | None = None,
    mac_id: str | None = None,
    *,
    as_json: bool = False,
) -> bytes:
    """Summations from `start` to `end` (Unix seconds; None: now), no closer than `frequency`
    seconds (None: all there are)."""
    return command(
        "get_history_data",
        mac_id=mac_id,
        as_json=as_json,
        StartTime=_hex_time(start),
        EndTime=None if end is None else _hex_time(end),
        Frequency=None if frequency is None else _hex_seconds(frequency),
    )


def set_schedule(device_mac_id: str, event: Event, frequency: int, *, enabled: bool) -> bytes:
    """Every `frequency` seconds (at most 0xffff), for the EAGLE with this MAC. There is no reply,
    or an empty one."""
    return command(
        "set_schedule",
        DeviceMacId=device_mac_id,
        Event=event,
        Frequency=_hex_seconds(frequency),
        Enabled="Y" if enabled else "N",
    )


def get_schedule(
    event: Event | None = None, mac_id: str | None = None, *, as_json: bool = False
) -> bytes:
    """One schedule, or without `event` all of them."""
    return command("get_schedule", mac_id=mac_id, as_json=as_json, Event=event)


def demand_peaks(mac_id: str | None = None, *, as_json: bool = False) -> bytes:
    return command("get_demand_peaks", mac_id=mac_id, as_json=as_json)


def reboot(target: Target, mac_id: str | None = None) -> bytes:
    return command("reboot", mac_id=mac_id, Target=target)


def _hex_time(moment: int) -> str:
    seconds = moment - EPOCH
    if not 0 <= seconds <= 0xFFFFFFFF:
        raise ValueError(f"{moment} lies outside what a gateway can date (2000 to 2136)")
    return f"0x{seconds:08x}"


def _hex_seconds(seconds: int) -> str:
    if not 0 <= seconds <= 0xFFFF:
        raise ValueError(f"{seconds} s is no frequency: 0 to 65535")
    return f"0x{seconds:04x}"
