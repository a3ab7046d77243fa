"""How much energy a home took and gave, by hour or day, from the registers of its meter. All
moments are Unix seconds, all numbers are exact decimals.

A meter's summation is a register that only grows. What a period took is its register at the last
summation in the period, minus the one at the last summation before the period: two readings that
exist, and nothing between them is guessed. So the periods of a meter add up to the difference of
its ends. A register that falls was reset or exchanged: that step is left out, and flagged.

Beside it stands the integral of demand over the same time, between the same two summations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from enum import StrEnum

from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import ParsedLine
from eagle_logger.core.local_time import LocalPeriod, Span, period_of
from eagle_logger.core.readings import Flag

LONGEST_SUMMATION_STEP_S = 1800
"""Between two summations. What a longer step took may belong to another period."""
LONGEST_DEMAND_STEP_S = 300
"""Between two demands. Nothing is integrated over a longer step."""
_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero])
"""Sums and products in it are exact, or raise ArithmeticError."""
_UNSURE = frozenset({Flag.CONFLICT, Flag.FUTURE})
"""Summations with these flags are not counted: their value or their time may be wrong."""
_SIX_PLACES = Decimal("0.000001")
_WIDE = Context(prec=200)


class EnergyFlag(StrEnum):
    FIRST = "first"
    METER_CHANGED = "meter_changed"
    RESET = "reset"
    GAP = "gap"
    DEMAND_GAP = "demand_gap"
    LEFT_OUT = "left_out"
    OPEN = "open"


ENERGY_FLAG_MEANS: Mapping[EnergyFlag, str] = {
    EnergyFlag.FIRST: "no summation of this meter is known from before the period, so the energy "
    "counts from its first summation in the period",
    EnergyFlag.METER_CHANGED: "the same, because the home had another meter before",
    EnergyFlag.RESET: "a register fell: that step is not counted. The meter was restarted, or "
    "exchanged for one that the gateway gives the same address",
    EnergyFlag.GAP: "more than 30 minutes lie between two of its summations, so some of the energy "
    "may belong to a period before: see `begin`",
    EnergyFlag.DEMAND_GAP: "more than 5 minutes lie between two of its demands. Nothing is "
    "integrated there, so `difference` is larger than it should be",
    EnergyFlag.LEFT_OUT: "summations were left out: two with the same time and different values, "
    "one whose time lies ahead of its arrival, or a number that is none",
    EnergyFlag.OPEN: "the period is not over",
}
"""For the data dictionary."""
ENERGY_MEMBERS: Mapping[str, str] = {
    "period": "the beginning of the hour or day, in local time with its distance to UTC",
    "hours": "its length: a day on which the clocks change has 23 or 25 hours",
    "meter": "the meter; a home with two has two rows",
    "delivered": "kWh that the home took: the register at `end` minus that at `begin`; null if the "
    "meter says no such register",
    "received": "kWh that the home gave, likewise",
    "demand": "the integral of demand from `begin` to `end`, in kWh, to six places (a straight "
    "line from one demand to the next); null without any",
    "difference": "`delivered` minus `received` minus `demand`; null if one of them is",
    "begin": "the summation that the period counts from: the last one before it, UTC",
    "end": "the last summation in the period, UTC",
    "demand_seconds": "how much of the time from `begin` to `end` the integral covers, in seconds",
    "flags": "what to doubt",
}
"""The members of a row as `eagle-logger energy` prints it, in order."""


@dataclass(frozen=True, slots=True)
class EnergyRow:
    """What one meter counted in one period."""

    meter: str
    period: LocalPeriod
    begin: int
    """The summation that it counts from."""
    end: int
    """The last summation in the period."""
    delivered: Decimal | None
    """kWh to the home; None if the meter has no such register."""
    received: Decimal | None
    """kWh from the home."""
    demand_kws: Decimal
    """The integral of demand from `begin` to `end`, in kW times seconds."""
    demand_seconds: int
    """The time that it covers."""
    flags: frozenset[EnergyFlag]

    @property
    def net(self) -> Decimal | None:
        """What the home took more than it gave, in kWh."""
        if self.delivered is None or self.received is None:
            return None
        return _EXACT.subtract(self.delivered, self.received)

    @property
    def demand(self) -> Decimal | None:
        """The integral in kWh, to six places; None without any demand."""
        if not self.demand_seconds:
            return None
        return _WIDE.divide(self.demand_kws, Decimal(3600)).quantize(_SIX_PLACES, context=_WIDE)

    @property
    def difference(self) -> Decimal | None:
        """`net` minus `demand`."""
        if self.net is None or self.demand is None:
            return None
        return _EXACT.subtract(self.net, self.demand)


@dataclass(slots=True)
class _Register:
    """One register of a meter."""

    last: Decimal | None = None
    counted: Decimal | None = None
    """What the current period counts so far."""

    def begin(self) -> None:
        self.counted = None if self.last is None else Decimal(0)

    def step(self, value: Decimal | None) -> bool:
        """Count up to this value. False if the register fell."""
        before, self.last = self.last, self.last if value is None else value
        if value is None:
            return True
        if before is None:
            self.counted = self.counted or Decimal(0)
            return True
        if value < before:
            return False
        self.counted = _EXACT.add(self.counted or Decimal(0), _EXACT.subtract(value, before))
        return True


@dataclass(slots=True)
class _Integral:
    """The integral of demand, up to the last demand."""

    last: tuple[int, Decimal] | None = None
    kws: Decimal = Decimal(0)
    seconds: int = 0

    def step(self, moment: int, value: Decimal) -> None:
        before, self.last = self.last, (moment, value)
        if before is None or moment - before[0] > LONGEST_DEMAND_STEP_S:
            return
        step_s = moment - before[0]
        area = _EXACT.multiply(_EXACT.add(before[1], value), Decimal(step_s) / 2)
        self.kws = _EXACT.add(self.kws, area)
        self.seconds += step_s


@dataclass(slots=True)
class _OpenRow:
    """The row of the current period."""

    period: LocalPeriod
    begin: int
    kws_before: Decimal
    seconds_before: int
    flags: set[EnergyFlag]
    end: int


@dataclass(slots=True)
class MeterEnergy:
    """Takes the readings of one meter, in order of time, and gives a row for each period that has
    a summation. Memory does not depend on how many readings there are."""

    meter: str
    span: Span
    zone: tzinfo
    last_summation: int | None = None
    _delivered: _Register = field(default_factory=_Register)
    _received: _Register = field(default_factory=_Register)
    _integral: _Integral = field(default_factory=_Integral)
    _row: _OpenRow | None = None
    _sampled: tuple[Decimal, int] = (Decimal(0), 0)
    """The integral and its seconds at the last summation."""
    _left_out: bool = False

    def add_demand(self, moment: int, value: Decimal) -> None:
        """Raises ArithmeticError for a number that is none, or has hundreds of digits."""
        self._integral.step(moment, value)

    def leave_out(self) -> None:
        """Note that a summation is not counted."""
        self._left_out = True

    def add_summation(
        self, moment: int, delivered: Decimal | None, received: Decimal | None
    ) -> EnergyRow | None:
        """Returns the row of the period before, once this summation lies in a later one. Raises
        ArithmeticError as above, and ValueError for a moment that no calendar has."""
        finished = None
        if self._row is None or not moment < self._row.period.end:
            period = period_of(moment, self.span, self.zone)
            finished = self.finish()
            self._begin_row(period, moment)
        assert self._row is not None
        row, before = self._row, self.last_summation
        is_sound = [self._delivered.step(delivered), self._received.step(received)]
        if not all(is_sound):
            row.flags.add(EnergyFlag.RESET)
        if before is not None and moment - before > LONGEST_SUMMATION_STEP_S:
            row.flags.add(EnergyFlag.GAP)
        if self._left_out:
            row.flags.add(EnergyFlag.LEFT_OUT)
            self._left_out = False
        row.end = self.last_summation = moment
        self._sampled = (self._integral.kws, self._integral.seconds)
        return finished

    def finish(self) -> EnergyRow | None:
        """The row of the period that was begun, if there is one."""
        row, self._row = self._row, None
        if row is None:
            return None
        kws, seconds = self._sampled
        covered = seconds - row.seconds_before
        if row.end - row.begin - covered > LONGEST_DEMAND_STEP_S:
            row.flags.add(EnergyFlag.DEMAND_GAP)
        if self._left_out:
            row.flags.add(EnergyFlag.LEFT_OUT)
        return EnergyRow(
            meter=self.meter,
            period=row.period,
            begin=row.begin,
            end=row.end,
            delivered=self._delivered.counted,
            received=self._received.counted,
            demand_kws=_EXACT.subtract(kws, row.kws_before),
            demand_seconds=covered,
            flags=frozenset(row.flags),
        )

    def _begin_row(self, period: LocalPeriod, moment: int) -> None:
        flags: set[EnergyFlag] = set()
        begin = self.last_summation
        if begin is None:
            begin = moment
            flags.add(EnergyFlag.FIRST)
            self._sampled = (self._integral.kws, self._integral.seconds)
        kws, seconds = self._sampled
        self._row = _OpenRow(period, begin, kws, seconds, flags, moment)
        self._delivered.begin()
        self._received.begin()


class HomeEnergy:
    """The meters of one home. Give it the lines in order, hour by hour (`in_order`)."""

    def __init__(self, span: Span, zone: tzinfo) -> None:
        self._span, self._zone = span, zone
        self._meters: dict[str, MeterEnergy] = {}

    def add(self, moment: int, line: ParsedLine) -> EnergyRow | None:
        """Count a line. Returns the row of a period that is finished with it."""
        meter = self._meter(line.identity.meter)
        try:
            match line.identity.kind:
                case Kind.DEMAND:
                    meter.add_demand(moment, _number(line, "value"))
                case Kind.SUMMATION if _UNSURE.isdisjoint(line.flags):
                    registers = (_register(line, "delivered"), _register(line, "received"))
                    return self._with_exchange(meter.add_summation(moment, *registers))
                case Kind.SUMMATION:
                    meter.leave_out()
        except (ArithmeticError, ValueError):
            meter.leave_out()
        return None

    def finish(self, now: float) -> Iterator[EnergyRow]:
        """The rows of the periods that were begun, in order of meters."""
        for _, meter in sorted(self._meters.items()):
            row = self._with_exchange(meter.finish())
            if row is not None:
                is_open = row.period.end > now
                yield replace(row, flags=row.flags | {EnergyFlag.OPEN}) if is_open else row

    def _meter(self, name: str) -> MeterEnergy:
        if name not in self._meters:
            self._meters[name] = MeterEnergy(name, self._span, self._zone)
        return self._meters[name]

    def _with_exchange(self, row: EnergyRow | None) -> EnergyRow | None:
        """A meter's first row, flagged if another meter has been silent since it began."""
        if row is None or EnergyFlag.FIRST not in row.flags:
            return row
        ends = (meter.last_summation for meter in self._meters.values())
        if not any(end is not None and end < row.begin for end in ends):
            return row
        return replace(row, flags=row.flags - {EnergyFlag.FIRST} | {EnergyFlag.METER_CHANGED})


def in_order(lines: Iterable[ParsedLine]) -> list[tuple[int, ParsedLine]]:
    """The lines of an hour in order of the moments that count, with these: demands before
    summations of the same second. A line whose own time was not believed counts at its arrival."""
    moments = ((int(line.moment), line) for line in lines)
    return sorted(moments, key=lambda pair: (pair[0], pair[1].identity.kind != Kind.DEMAND))


def _number(line: ParsedLine, name: str) -> Decimal:
    value = line.data.get(name)
    if not isinstance(value, Decimal):
        raise ValueError(f"{name} is no number")
    return value


def _register(line: ParsedLine, name: str) -> Decimal | None:
    return None if line.data.get(name) is None else _number(line, name)
