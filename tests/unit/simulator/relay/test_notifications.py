"""Notifications, read by the manual's rules, which these tests write down once more. They share
nothing with the real decoder."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.simulator.relay import gateway, meter
from eagle_logger.simulator.relay import notifications as notes
from eagle_logger.simulator.relay.commands import parse
from eagle_logger.simulator.relay.gateway import GatewayState
from eagle_logger.simulator.relay.homes import Home, Spelling, homes
from eagle_logger.simulator.relay.household import SOLAR_PROFILES
from eagle_logger.simulator.relay.notifications import signed_hex

HOMES = homes(300, seed=6)
NOW = 1_764_000_000
MOMENTS = st.floats(NOW, NOW + 10_000_000, allow_nan=False)
BY_DIGITS = {6: 24, 8: 32, 16: 64}


def signed(text: str) -> int:
    number, bits = int(text, 16), BY_DIGITS[len(text) - 2]
    return number - (1 << bits) if number >> (bits - 1) else number


def scaled(fields: dict[str, str], raw: int) -> Decimal:
    return Decimal(raw) * (int(fields["Multiplier"], 16) or 1) / (int(fields["Divisor"], 16) or 1)


@pytest.mark.parametrize(
    ("number", "spelling", "text"),
    [
        (0x1738, Spelling.USUAL, "0x001738"),
        (0x3B0, Spelling.USUAL, "0x0003b0"),
        (-1000, Spelling.USUAL, "0xfffffc18"),
        (-1000, Spelling.WIDE, "0xFFFFFC18"),
        (-1000, Spelling.MANUAL, "0xfffc18"),
        (1000, Spelling.WIDE, "0x000003E8"),
        (0, Spelling.USUAL, "0x000000"),
    ],
)
def test_demand_is_spelled_as_captured(number: int, spelling: Spelling, text: str) -> None:
    assert signed_hex(number, spelling) == text


@given(number=st.integers(-(2**23) + 1, 2**23 - 1), spelling=st.sampled_from(list(Spelling)))
def test_any_demand_can_be_read_back_by_its_digits(number: int, spelling: Spelling) -> None:
    assert signed(signed_hex(number, spelling)) == number


@given(home=st.sampled_from(HOMES), now=MOMENTS, error=st.sampled_from([0, 3600, -86400]))
def test_the_reading_of_a_demand_is_what_its_fields_say(home: Home, now: float, error: int) -> None:
    moment = meter.latest_reading(home, meter.DEMAND, now)
    notification = notes.demand(home, moment, error)
    fields, reading = dict(notification.fields), notification.reading
    assert reading is not None
    assert reading.time == 946_684_800 + int(fields["TimeStamp"], 16) == moment.time + error
    kilowatts = Decimal(str(dict(reading.values)["value"]))
    assert kilowatts == scaled(fields, signed(fields["Demand"]))
    assert (fields["DeviceMacId"], fields["MeterMacId"]) == (home.device, home.meter)


@given(home=st.sampled_from(HOMES), now=MOMENTS)
def test_the_reading_of_a_summation_is_what_its_16_digits_say(home: Home, now: float) -> None:
    notification = notes.summation(home, meter.latest_reading(home, meter.SUMMATION, now))
    fields = dict(notification.fields)
    assert notification.reading is not None
    values = dict(notification.reading.values)
    assert len(fields["SummationDelivered"]) == 18
    delivered, received = Decimal(str(values["delivered"])), Decimal(str(values["received"]))
    assert delivered == scaled(fields, int(fields["SummationDelivered"], 16))
    assert received == scaled(fields, int(fields["SummationReceived"], 16))


@given(home=st.sampled_from(HOMES), now=MOMENTS, hours=st.integers(0, 48))
def test_counters_never_run_backwards(home: Home, now: float, hours: int) -> None:
    earlier, later = notes.counters(home, int(now)), notes.counters(home, int(now) + hours * 3600)
    assert earlier[0] <= later[0]
    assert earlier[1] <= later[1]


def test_counters_grow_by_the_sum_of_demand() -> None:
    home = next(home for home in HOMES if home.profile in SOLAR_PROFILES)
    noon = NOW // 86400 * 86400 + 12 * 3600 - home.utc_offset_s
    delivered, received = (
        now - then
        for now, then in zip(
            notes.counters(home, noon + 7200), notes.counters(home, noon), strict=True
        )
    )
    demands = [
        home.household.demand(second + home.utc_offset_s) for second in range(noon, noon + 7200)
    ]
    assert abs(delivered - sum(max(watts, 0) for watts in demands) / 3600) <= 1
    assert abs(received - sum(max(-watts, 0) for watts in demands) / 3600) <= 1
    assert received > 0


def test_counters_stand_still_before_the_meter_was_installed() -> None:
    home = HOMES[0]
    assert (
        notes.counters(home, notes.INSTALLED - 1000)
        == notes.counters(home, notes.INSTALLED)
        == (home.first_units, 0)
    )


@given(home=st.sampled_from(HOMES), now=MOMENTS)
def test_the_reading_of_a_price_is_what_its_fields_say(home: Home, now: float) -> None:
    notification = notes.price(home, meter.latest_reading(home, meter.price_stream(home), now))
    fields = dict(notification.fields)
    assert notification.reading is not None
    values = dict(notification.reading.values)
    digits = int(fields["TrailingDigits"], 16)
    assert Decimal(str(values["price"])) == Decimal(int(fields["Price"], 16)).scaleb(-digits)
    currency = {"USD": 0x348, "CAD": 0x7C, "EUR": 0x3D2}[str(values["currency"])]
    assert currency == int(fields["Currency"], 16)
    assert values["tier"] == (int(fields["Tier"], 16) or None)
    assert (values["label"] or "--") == fields.get("RateLabel", fields.get("TierLabel"))


def test_prices_follow_the_time_of_use() -> None:
    home = next(home for home in HOMES if len(home.tariff.tiers) == 3)
    midnight = NOW // 86400 * 86400 - home.utc_offset_s
    clusters = [
        dict(notes.price(home, meter.Moment(0, midnight + hour * 3600)).fields)
        for hour in (3, 8, 14, 22)
    ]
    assert [fields.get("RateLabel", fields.get("TierLabel")) for fields in clusters] == [
        "Off-peak",
        "Mid-peak",
        "On-peak",
        "Off-peak",
    ]


def test_a_message_can_be_confirmed_by_its_id() -> None:
    home, state = HOMES[0], GatewayState()
    ask = parse(b"<Command><Name>get_message</Name></Command>")
    assert ask is not None
    first = gateway.answer_command(home, ask, NOW, state)
    assert first is not None
    fields = dict(first.notifications[0].fields)
    confirm = parse(
        f"<Command><Name>confirm_message</Name><Id>{fields['Id']}</Id></Command>".encode()
    )
    assert confirm is not None
    second = gateway.answer_command(home, confirm, NOW, state)
    assert second is not None
    assert (fields["Confirmed"], dict(second.notifications[0].fields)["Confirmed"]) == ("N", "Y")


@given(st.sampled_from(HOMES), MOMENTS)
def test_yesterdays_peak_is_the_peak_of_the_whole_day(home: Home, now: float) -> None:
    ask = parse(b"<Command><Name>get_demand_peaks</Name></Command>")
    assert ask is not None

    def peaks(moment: float) -> dict[str, str]:
        answer = gateway.answer_command(home, ask, moment, GatewayState())
        assert answer is not None
        return dict(answer.notifications[0].fields)

    midnight = now - (now + home.utc_offset_s) % 86400
    assert peaks(now)["PeakYesterday"] == peaks(midnight - 1)["Peak"]
    assert Decimal(peaks(now)["PeakYesterday"]) > Decimal("0.1")
