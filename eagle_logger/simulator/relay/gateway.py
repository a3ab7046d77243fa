"""What one home's gateway answers to a command at a moment: notifications, before anything spoils
them on their way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from eagle_logger.simulator.relay import meter
from eagle_logger.simulator.relay import notifications as notes
from eagle_logger.simulator.relay.commands import Command, seconds
from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.household import DAY
from eagle_logger.simulator.relay.meter import MeterStream, Moment
from eagle_logger.simulator.relay.notifications import EPOCH, Fields, Notification
from eagle_logger.simulator.relay.seeded_random import mixed

MOST_HISTORY = 1000
"""Summations in one history, at most: the newest."""
KEPT = 7 * DAY
"""Seconds of history that a gateway keeps."""

EVENTS = {
    "time": 900,
    "message": 120,
    "price": 120,
    "summation": 240,
    "demand": 8,
    "scheduled_prices": 300,
    "profile_data": 300,
    "billing_period": 300,
    "block_period": 300,
}


@dataclass(slots=True)
class GatewayState:
    """How a gateway sees and tells things at the moment; the default is a healthy one."""

    seen_until: float | None = None
    """Nothing newer than this (Unix seconds) is shown: a stale gateway."""
    clock_error: int = 0
    """Seconds its clock is ahead."""
    backwards: int = 0
    """So many more units are missing from each of seven summations in a row; the eighth is right
    again."""
    backlog: int = 0
    """So many readings in one reply, newest first."""
    confirmed: set[str] = field(default_factory=set)
    """Ids of messages somebody has confirmed."""


_Tell = Callable[[Home, Moment, int], Notification]
"""Puts a moment in words; the number is the error of the gateway's clock."""


@dataclass(slots=True)
class NotificationsReply:
    """A reply of notifications: one root each, unless `list_root` holds them all."""

    notifications: list[Notification]
    list_root: str = ""


def answer(
    home: Home, command: Command, now: float, mood: GatewayState
) -> NotificationsReply | None:
    """What the gateway says to this command at `now` (Unix seconds); None if it does not know the
    command."""
    handler = _HANDLERS.get(command.name)
    return handler(home, command, now, mood) if handler else None


def _readings(
    home: Home, stream: MeterStream, now: float, mood: GatewayState, tell: _Tell
) -> NotificationsReply:
    shown_at = now if mood.seen_until is None else min(now, mood.seen_until)
    moment = meter.latest(home, stream, shown_at)
    told = [tell(home, moment, mood.clock_error).if_dated()]
    for _ in range(mood.backlog - 1):
        moment = meter.before(home, stream, moment)
        told.append(tell(home, moment, mood.clock_error).if_dated())
    return NotificationsReply(told)


def _demand(home: Home, _command: Command, now: float, mood: GatewayState) -> NotificationsReply:
    return _readings(home, meter.DEMAND, now, mood, notes.demand)


def _summation(home: Home, _command: Command, now: float, mood: GatewayState) -> NotificationsReply:
    return _readings(home, meter.SUMMATION, now, mood, partial(_backwards, mood))


def _backwards(mood: GatewayState, home: Home, moment: Moment, clock_error: int) -> Notification:
    return notes.summation(home, moment, clock_error, less=mood.backwards * (moment.turn % 8))


def _price(home: Home, _command: Command, now: float, mood: GatewayState) -> NotificationsReply:
    return _readings(home, meter.price_stream(home), now, mood, notes.price)


def _message(home: Home, _command: Command, now: float, mood: GatewayState) -> NotificationsReply:
    def tell(home: Home, moment: Moment, clock_error: int) -> Notification:
        return notes.message(
            home, moment, clock_error, confirmed=notes.message_id(moment) in mood.confirmed
        )

    return _readings(home, meter.MESSAGE, now, mood, tell)


def _confirm(home: Home, command: Command, now: float, mood: GatewayState) -> NotificationsReply:
    number = seconds(command.values.get("id"))
    if number is not None:
        mood.confirmed.add(f"0x{number & 0xFFFFFFFF:08x}")
    return _message(home, command, now, mood)


def _history(home: Home, command: Command, now: float, mood: GatewayState) -> NotificationsReply:
    """CurrentSummations from StartTime to EndTime (now), no closer than Frequency; oldest first."""
    start = max((seconds(command.values.get("starttime")) or 0) + EPOCH, now - KEPT)
    end = seconds(command.values.get("endtime"))
    apart = seconds(command.values.get("frequency")) or 0
    moment = meter.latest(
        home, meter.SUMMATION, now if end is None else min(now, end + EPOCH + meter.LAGS[-1])
    )
    found: list[Moment] = []
    while moment.time >= start and len(found) < MOST_HISTORY:
        wanted = end is None or moment.time <= end + EPOCH
        if wanted and (not found or found[-1].time - moment.time >= apart):
            found.append(moment)
        moment = meter.before(home, meter.SUMMATION, moment)
    told = [_backwards(mood, home, one, mood.clock_error).if_dated() for one in reversed(found)]
    return NotificationsReply(told, list_root="HistoryData")


def _network_info(
    home: Home, _command: Command, _now: float, _mood: GatewayState
) -> NotificationsReply:
    secret = f"{mixed(1, home.salt):016x}"
    fields = [
        ("DeviceMacId", home.device),
        ("InstallCode", f"0x{mixed(2, home.salt):016x}"),
        ("LinkKeyHigh", secret),  # it comes without 0x
        ("LinkKeyLow", f"0x{mixed(3, home.salt):016x}"),
        ("FWVersion", "1.4.48 (6952)"),
        ("HWVersion", "1.2.5"),
        ("Manufacturer", "Rainforest Automation, I"),  # cut off, as it comes
        ("ModelId", "Z109-EAGLE"),
        ("DateCode", "20140219PO032319"),
        ("ImageType", "0x1301"),
        ("Protocol", "Zigbee"),
    ]
    return NotificationsReply([Notification("NetworkInfo", fields)])


def _status_fields(home: Home) -> Fields:
    return [
        ("Protocol", "Zigbee"),
        ("DeviceMacId", home.device),
        ("Status", "Connected"),
        ("CoordMacId", home.meter),
        ("Description", "Successfully Joined"),
        ("ExtPanId", home.meter),
        ("ShortAddr", f"0x{home.salt & 0xFFFF:04x}"),
        ("Channel", str(11 + home.salt % 16)),
        ("LinkStrength", f"0x{40 + home.salt % 60:02x}"),
    ]


def _network_status(
    home: Home, _command: Command, _now: float, _mood: GatewayState
) -> NotificationsReply:
    return NotificationsReply(
        [Notification("NetworkInfo" if home.salt & 2 else "NetworkStatus", _status_fields(home))]
    )


def _list_network(
    home: Home, _command: Command, _now: float, _mood: GatewayState
) -> NotificationsReply:
    return NotificationsReply(
        [Notification("NetworkStatus", _status_fields(home))], list_root="NetworkList"
    )


def _schedule(home: Home, command: Command, _now: float, _mood: GatewayState) -> NotificationsReply:
    wanted = command.values.get("event", "")
    told = [
        Notification(
            "ScheduleInfo",
            [
                ("DeviceMacId", home.device),
                ("MeterMacId", home.meter),
                ("Event", event),
                ("Frequency", f"0x{frequency:04x}" if frequency >= 100 else str(frequency)),
                ("Enabled", "Y"),
            ],
        )
        for event, frequency in EVENTS.items()
        if wanted in ("", event)
    ]
    return NotificationsReply(told, list_root="" if wanted else "ScheduleList")


def _peaks(home: Home, _command: Command, now: float, _mood: GatewayState) -> NotificationsReply:
    local = int(now) + home.zone
    midnight = local - local % DAY
    today, yesterday = _peak(home, midnight, local + 1), _peak(home, midnight - DAY, midnight)
    fields = [("DeviceMacId", home.device), ("Peak", today), ("PeakYesterday", yesterday)]
    return NotificationsReply([Notification("DemandPeaks", fields)])


def _peak(home: Home, begin: int, end: int) -> str:
    """Local seconds, looked at every minute."""
    watts = max(home.household.demand(second) for second in range(begin, end, 60))
    return f"{watts * (home.multiplier or 1) / 1000:.3f}"


def _nothing(
    _home: Home, _command: Command, _now: float, _mood: GatewayState
) -> NotificationsReply:
    return NotificationsReply([])


_HANDLERS: dict[str, Callable[[Home, Command, float, GatewayState], NotificationsReply]] = {
    "get_instantaneous_demand": _demand,
    "get_current_summation": _summation,
    "get_price": _price,
    "get_message": _message,
    "confirm_message": _confirm,
    "get_history_data": _history,
    "get_network_info": _network_info,
    "get_network_status": _network_status,
    "list_network": _list_network,
    "get_schedule": _schedule,
    "set_schedule": _nothing,
    "get_demand_peaks": _peaks,
    "reboot": _nothing,
}
