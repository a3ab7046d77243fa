"""What a home's gateway answers to a command: notifications, before any fault changes them.

The commands, their parameters and the notifications are those of the vendor's manual for the
EAGLE-100. Where captured replies differ from the manual, a comment says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from eagle_logger.simulator.relay import meter
from eagle_logger.simulator.relay import notifications as notes
from eagle_logger.simulator.relay.commands import Command, parse_number
from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.household import DAY_S
from eagle_logger.simulator.relay.meter import MeterStream, Moment
from eagle_logger.simulator.relay.notifications import EPOCH, Fields, Notification
from eagle_logger.simulator.relay.seeded_random import random_bits
from eagle_logger.simulator.relay.trace import TracedMeter

MOST_SUMMATIONS_IN_HISTORY = 1000
HISTORY_KEPT_S = 7 * DAY_S

SCHEDULE_FREQUENCIES_S = {
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
    """What is wrong with a gateway at the moment; by default nothing."""

    shown_until: float | None = None
    """A stale gateway shows nothing newer than this (Unix seconds)."""
    clock_error: int = 0
    """Seconds that its clock is ahead."""
    backwards: int = 0
    """How many more units each of seven summations in a row lacks; the eighth is right."""
    backlog: int = 0
    """How many readings one reply holds, newest first; 0 means one."""
    traced: TracedMeter | None = None
    """The meter whose demands the gateway shows, if they follow a trace."""
    confirmed: set[str] = field(default_factory=set)
    """Ids of the messages that a client has confirmed."""


_Notify = Callable[[Home, Moment, int], Notification]
"""Makes the notification of a moment; the number is the error of the gateway's clock."""


@dataclass(slots=True)
class GatewayAnswer:
    notifications: list[Notification]
    list_root: str = ""
    """The root element that holds all notifications; "" if each is a root of its own."""

    def readings(self) -> list[notes.ExpectedReading]:
        return [notification.reading for notification in self.notifications if notification.reading]


def answer_command(
    home: Home, command: Command, now: float, state: GatewayState
) -> GatewayAnswer | None:
    """What the gateway answers at `now` (Unix seconds); None to an unknown command."""
    handler = _HANDLERS.get(command.name)
    return handler(home, command, now, state) if handler else None


def _answer_with_readings(
    home: Home, stream: MeterStream, now: float, state: GatewayState, notify: _Notify
) -> GatewayAnswer:
    shown_until = now if state.shown_until is None else min(now, state.shown_until)
    moment = meter.latest_reading(home, stream, shown_until)
    notifications = [notify(home, moment, state.clock_error).with_reading_as_dated()]
    for _ in range(state.backlog - 1):
        moment = meter.reading_before(home, stream, moment)
        notifications.append(notify(home, moment, state.clock_error).with_reading_as_dated())
    return GatewayAnswer(notifications)


def _get_demand(home: Home, _command: Command, now: float, state: GatewayState) -> GatewayAnswer:
    if state.traced is not None:
        moment = state.traced.latest_reading(home, now)
        return GatewayAnswer(
            [notes.demand(home, moment, state.clock_error).with_reading_as_dated()]
        )
    return _answer_with_readings(home, meter.DEMAND, now, state, notes.demand)


def _get_summation(home: Home, _command: Command, now: float, state: GatewayState) -> GatewayAnswer:
    return _answer_with_readings(home, meter.SUMMATION, now, state, partial(_summation, state))


def _summation(state: GatewayState, home: Home, moment: Moment, clock_error: int) -> Notification:
    return notes.summation(home, moment, clock_error, missing=state.backwards * (moment.turn % 8))


def _get_price(home: Home, _command: Command, now: float, state: GatewayState) -> GatewayAnswer:
    return _answer_with_readings(home, meter.price_stream(home), now, state, notes.price)


def _get_message(home: Home, _command: Command, now: float, state: GatewayState) -> GatewayAnswer:
    def notify(home: Home, moment: Moment, clock_error: int) -> Notification:
        confirmed = notes.message_id(moment) in state.confirmed
        return notes.message(home, moment, clock_error, confirmed=confirmed)

    return _answer_with_readings(home, meter.MESSAGE, now, state, notify)


def _confirm_message(
    home: Home, command: Command, now: float, state: GatewayState
) -> GatewayAnswer:
    number = parse_number(command.values.get("id"))
    if number is not None:
        state.confirmed.add(f"0x{number:08x}")
    return _get_message(home, command, now, state)


def _get_history(home: Home, command: Command, now: float, state: GatewayState) -> GatewayAnswer:
    """Summations from StartTime to EndTime (now), at least Frequency seconds apart.

    Oldest first; if there are too many, the newest.
    """
    start = max((parse_number(command.values.get("starttime")) or 0) + EPOCH, now - HISTORY_KEPT_S)
    end_time = parse_number(command.values.get("endtime"))
    end = now if end_time is None else end_time + EPOCH
    frequency = parse_number(command.values.get("frequency")) or 0
    # A reading of just before the end may become visible as late as the longest lag after it.
    shown_until = now if end_time is None else min(now, end + meter.LAGS_S[-1])
    moment = meter.latest_reading(home, meter.SUMMATION, shown_until)
    moments: list[Moment] = []
    while moment.time >= start and len(moments) < MOST_SUMMATIONS_IN_HISTORY:
        is_apart = not moments or moments[-1].time - moment.time >= frequency
        if moment.time <= end and is_apart:
            moments.append(moment)
        moment = meter.reading_before(home, meter.SUMMATION, moment)
    notifications = [
        _summation(state, home, moment, state.clock_error).with_reading_as_dated()
        for moment in reversed(moments)
    ]
    return GatewayAnswer(notifications, list_root="HistoryData")


def _get_network_info(
    home: Home, _command: Command, _now: float, _state: GatewayState
) -> GatewayAnswer:
    fields = [
        ("DeviceMacId", home.device),
        ("InstallCode", f"0x{random_bits(2, home.salt):016x}"),
        ("LinkKeyHigh", f"{random_bits(1, home.salt):016x}"),  # without 0x (captured)
        ("LinkKeyLow", f"0x{random_bits(3, home.salt):016x}"),
        ("FWVersion", "1.4.48 (6952)"),
        ("HWVersion", "1.2.5"),
        ("Manufacturer", "Rainforest Automation, I"),  # cut off (captured)
        ("ModelId", "Z109-EAGLE"),
        ("DateCode", "20140219PO032319"),
        ("ImageType", "0x1301"),
        ("Protocol", "Zigbee"),
    ]
    return GatewayAnswer([Notification("NetworkInfo", fields)])


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


def _get_network_status(
    home: Home, _command: Command, _now: float, _state: GatewayState
) -> GatewayAnswer:
    # The manual names the root NetworkStatus; a capture shows NetworkInfo.
    root = "NetworkInfo" if home.salt & 2 else "NetworkStatus"
    return GatewayAnswer([Notification(root, _status_fields(home))])


def _list_network(
    home: Home, _command: Command, _now: float, _state: GatewayState
) -> GatewayAnswer:
    notification = Notification("NetworkStatus", _status_fields(home))
    return GatewayAnswer([notification], list_root="NetworkList")


def _get_schedule(home: Home, command: Command, _now: float, _state: GatewayState) -> GatewayAnswer:
    wanted = command.values.get("event", "")
    notifications = [
        Notification(
            "ScheduleInfo",
            [
                ("DeviceMacId", home.device),
                ("MeterMacId", home.meter),
                ("Event", event),
                # The manual has hexadecimal numbers; decimal ones were captured.
                ("Frequency", f"0x{frequency:04x}" if frequency >= 100 else str(frequency)),
                ("Enabled", "Y"),
            ],
        )
        for event, frequency in SCHEDULE_FREQUENCIES_S.items()
        if wanted in ("", event)
    ]
    return GatewayAnswer(notifications, list_root="" if wanted else "ScheduleList")


def _get_demand_peaks(
    home: Home, _command: Command, now: float, _state: GatewayState
) -> GatewayAnswer:
    local = int(now) + home.utc_offset_s
    midnight = local - local % DAY_S
    today, yesterday = _peak(home, midnight, local + 1), _peak(home, midnight - DAY_S, midnight)
    fields = [("DeviceMacId", home.device), ("Peak", today), ("PeakYesterday", yesterday)]
    return GatewayAnswer([Notification("DemandPeaks", fields)])


def _peak(home: Home, start: int, end: int) -> str:
    """The highest kilowatts between two local seconds, sampled every minute."""
    watts = max(home.household.demand(second) for second in range(start, end, 60))
    return f"{watts * (home.multiplier or 1) / 1000:.3f}"


def _answer_nothing(
    _home: Home, _command: Command, _now: float, _state: GatewayState
) -> GatewayAnswer:
    return GatewayAnswer([])


_HANDLERS: dict[str, Callable[[Home, Command, float, GatewayState], GatewayAnswer]] = {
    "get_instantaneous_demand": _get_demand,
    "get_current_summation": _get_summation,
    "get_price": _get_price,
    "get_message": _get_message,
    "confirm_message": _confirm_message,
    "get_history_data": _get_history,
    "get_network_info": _get_network_info,
    "get_network_status": _get_network_status,
    "list_network": _list_network,
    "get_schedule": _get_schedule,
    "set_schedule": _answer_nothing,
    "get_demand_peaks": _get_demand_peaks,
    "reboot": _answer_nothing,
}
