"""Quirks of numbers, times and prices."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.rainforest.decoding.quirks.quirk import (
    KW,
    MOMENT,
    NO_MESSAGE_STATE,
    PLAIN,
    WHEN,
    WHOLE,
    Quirk,
    Source,
    demand,
    message,
    of_demand,
    of_price,
    price,
    summation,
)

NUMBERS = (
    Quirk(
        "the manual's example: 6 digits, multiplier 1, divisor 1000",
        demand("Demand=0x001738", "Multiplier=0x01", "Divisor=0x3e8"),
        of_demand("5.944"),
        source=Source.MANUAL,
    ),
    Quirk("a captured reading", WHOLE, (PLAIN,), source=Source.CAPTURED),
    Quirk(
        "the time 0x185adc1d",
        demand("Demand=0x0003b0", "Divisor=0x3e8", time="0x185adc1d"),
        (f'demand 2012-12-12T06:09:33Z "value":0.944,{KW}',),
        source=Source.MANUAL,
    ),
    Quirk(
        "a multiplier other than 1",
        demand("Demand=0x000222", "Multiplier=0x00000003", "Divisor=0x3e8"),
        of_demand("1.638"),
        source=Source.CAPTURED,
    ),
    Quirk(
        "width and case of hex vary",
        demand("Demand=0X0003B0", "Multiplier=0x1", "Divisor=0x000003E8"),
        of_demand("0.944"),
        source=Source.CAPTURED,
    ),
    Quirk(
        "negative in 8 digits: an int32",
        demand("Demand=0xfffffc18", "Divisor=0x3e8"),
        of_demand("-1"),
        source=Source.CAPTURED,
    ),
    Quirk(
        "negative in 6 digits: 24 bits",
        demand("Demand=0xfffc18", "Divisor=0x3e8"),
        of_demand("-1"),
        source=Source.MANUAL,
    ),
    Quirk(
        "negative in 16 digits: 64 bits",
        demand("Demand=0xfffffffffffffc18", "Divisor=0x3e8"),
        of_demand("-1"),
    ),
    Quirk(
        "fewer than 6 digits: unsigned",
        demand("Demand=0xfc18", "Divisor=0x3e8"),
        of_demand("64.536"),
    ),
    Quirk(
        "7 digits: an int32 that is not negative",
        demand("Demand=0xffffc18", "Divisor=0x3e8"),
        of_demand("268434.456"),
    ),
    Quirk(
        "8 digits, positive beyond 24 bits",
        demand("Demand=0x00fffc18", "Divisor=0x3e8"),
        of_demand("16776.216"),
    ),
    Quirk(
        "more than 16 digits: no number",
        demand("Demand=0x" + "0" * 17, "Divisor=0x3e8"),
        ("problem: bad_number",),
    ),
    Quirk("no number at all", demand("Demand=0x00g3b0", "Divisor=0x3e8"), ("problem: bad_number",)),
    Quirk(
        "`0x800000`: no reading",
        demand("Demand=0x800000", "Divisor=0x3e8"),
        ("problem: sentinel",),
        source=Source.ONE_CLIENT,
    ),
    Quirk(
        "`0xff800000`: no reading",
        demand("Demand=0xff800000", "Divisor=0x3e8"),
        ("problem: sentinel",),
        source=Source.ONE_CLIENT,
    ),
    Quirk(
        "zero multiplier and divisor mean 1",
        demand("Demand=0x000002", "Multiplier=0x0", "Divisor=0x00000000"),
        of_demand("2"),
        source=Source.CAPTURED,
    ),
    Quirk(
        "empty or missing multiplier and divisor mean 1",
        demand("Demand=0x000002", "Multiplier="),
        of_demand("2"),
        source=Source.CAPTURED,
    ),
    Quirk(
        "a division that does not end has 12 places",
        demand("Demand=0x000001", "Divisor=0x3"),
        of_demand("0.333333333333"),
    ),
    Quirk(
        "without `0x`: only what is the same in both bases",
        demand("Demand=0x000002", "Divisor=1"),
        of_demand("2"),
        source=Source.CAPTURED,
    ),
    Quirk(
        "without `0x`: never a guess",
        demand("Demand=0x000002", "Divisor=1000"),
        ("problem: bad_number",),
    ),
    Quirk(
        "16-digit summations, unsigned",
        summation(
            "SummationDelivered=0x00000000061cbd97",
            "SummationReceived=0x0000000000000000",
            "Divisor=0x3e8",
        ),
        (f'summation {WHEN} "delivered":102546.839,"received":0,"unit":"kWh"',),
        source=Source.CAPTURED,
    ),
    Quirk(
        "the largest summation is a number, and stands for nothing else",
        summation("SummationDelivered=0xffffffffffffffff", "Divisor=0x3e8"),
        (f'summation {WHEN} "delivered":18446744073709551.615,"received":null,"unit":"kWh"',),
    ),
    Quirk(
        "`CurrentSummationDelivered` for `CurrentSummation`",
        demand("SummationDelivered=0x000003e8", "Divisor=0x3e8", root="CurrentSummationDelivered"),
        (f'summation {WHEN} "delivered":1,"received":null,"unit":"kWh"',),
        source=Source.CAPTURED,
    ),
    Quirk(
        "`CurrentSummationDelivered` beside `CurrentSummation`: one reading twice, logged once",
        summation("SummationDelivered=0x3e8", "Divisor=0x3e8")
        + demand("SummationDelivered=0x3e8", "Divisor=0x3e8", root="CurrentSummationDelivered"),
        (f'summation {WHEN} "delivered":1,"received":null,"unit":"kWh"',) * 2,
        source=Source.CAPTURED,
    ),
    Quirk(
        "a summation that goes backwards is recorded as read, and flagged",
        summation("SummationDelivered=0x000003e8", "SummationReceived=0x0", "Divisor=0x3e8"),
        (f'summation {WHEN} "delivered":1,"received":0,"unit":"kWh" backwards',),
        previous={"delivered": Decimal("1.001")},
        source=Source.CAPTURED,
    ),
    Quirk(
        "a summation of 0 after a power cut is recorded as read, and flagged",
        summation("SummationDelivered=0x00000000", "Divisor=0x3e8"),
        (f'summation {WHEN} "delivered":0,"received":null,"unit":"kWh" backwards',),
        previous={"delivered": Decimal(5)},
        source=Source.CAPTURED,
    ),
    Quirk(
        "`SummationReceived` that goes backwards is recorded as read, and flagged",
        summation("SummationDelivered=0x3e8", "SummationReceived=0x7d0", "Divisor=0x3e8"),
        (f'summation {WHEN} "delivered":1,"received":2,"unit":"kWh" backwards',),
        previous={"delivered": Decimal("0.5"), "received": Decimal("2.5")},
    ),
    Quirk("a summation without any counter", summation("Divisor=0x3e8"), ("problem: missing",)),
)

_NO_TIMES = (
    ("`0xffffffff`", "0xffffffff", Source.CAPTURED),
    ("`0x00000000`", "0x00000000", Source.CAPTURED),
    ("`0xffffff`", "0xffffff", Source.CAPTURED),
    ("an empty element", "", Source.CAPTURED),
    ("no number", "soon", Source.INFERRED),
    ("beyond 32 bits", "0x1ffffffff", Source.INFERRED),
)
_SUMMED = '"delivered":1,"received":null,"unit":"kWh"'
TIMES = (
    *(
        Quirk(
            f"a demand without a time is no reading: {name}",
            demand("Demand=0x0003b0", time=text),
            ("problem: no_time",),
            source=source,
        )
        for name, text, source in _NO_TIMES
    ),
    Quirk(
        "a demand without a time is no reading: no element",
        b"<InstantaneousDemand><Demand>0x1</Demand></InstantaneousDemand>",
        ("problem: no_time",),
    ),
    *(
        Quirk(
            f"a summation without a time is filed under its arrival if its value is new: {name}",
            summation("SummationDelivered=0x3e8", "Divisor=0x3e8", time=text),
            (f"summation {WHEN} {_SUMMED} filed_by_arrival",),
            arrived=MOMENT,
            source=source,
        )
        for name, text, source in _NO_TIMES
    ),
    Quirk(
        "a summation without a time, of firmware 1.4.23: no element",
        b"<CurrentSummation><SummationDelivered>0x3e8</SummationDelivered><Divisor>0x3e8</Divisor></CurrentSummation>",
        (f"summation {WHEN} {_SUMMED} filed_by_arrival",),
        arrived=MOMENT,
        source=Source.CAPTURED,
    ),
    Quirk(
        "a summation without a time that goes backwards",
        summation("SummationDelivered=0x3e8", "Divisor=0x3e8", time=""),
        (f"summation {WHEN} {_SUMMED} backwards filed_by_arrival",),
        arrived=MOMENT,
        previous={"delivered": Decimal("1.001")},
    ),
    Quirk(
        "a price that was set on the gateway itself has no time",
        price(
            *(
                "StartTime=0xffffffff",
                "Duration=0xffff",
                "Price=0x00000019",
                "Currency=0x0348",
                "TrailingDigits=0x02",
            ),
            *("Tier=0x01", "RateLabel=Tier 1"),
            time="0xffffffff",
        ),
        (
            of_price("0.25", '"currency":"USD","unit":"USD/kWh","tier":1,"label":"Tier 1"')
            + " filed_by_arrival",
        ),
        arrived=MOMENT,
        source=Source.CAPTURED,
    ),
    Quirk(
        "a message without a time",
        message("Id=0x01", "Text=Save", time="0x00000000"),
        (f'message {WHEN} "id":"0x01","text":"Save",{NO_MESSAGE_STATE} filed_by_arrival',),
        arrived=MOMENT,
    ),
    Quirk(
        "two different times: neither is used",
        summation("SummationDelivered=0x3e8", "TimeStamp=0xffffffff"),
        ("problem: disputed",),
    ),
    Quirk(
        "a reading that lags, as after an outage, is filed under its own time",
        WHOLE,
        (PLAIN,),
        arrived=MOMENT + 5145,
        source=Source.CAPTURED,
    ),
    Quirk(
        "a clock that is 63 days wrong",
        WHOLE,
        (f"{PLAIN} long_past",),
        arrived=MOMENT + 63 * 86400,
        source=Source.CAPTURED,
    ),
    Quirk(
        "a meter that gives local time: not corrected, but flagged",
        WHOLE,
        (f"{PLAIN} future",),
        arrived=MOMENT - 3600,
        source=Source.ONE_CLIENT,
    ),
)

PRICES = (
    Quirk(
        "a price",
        price("Price=0x7d", "TrailingDigits=3", "Currency=0x0348"),
        (of_price("0.125"),),
        source=Source.MANUAL,
    ),
    Quirk(
        "Canadian dollars, tier 1, label in `TierLabel`",
        price(
            "Price=0x7d", "TrailingDigits=0x03", "Currency=0x007c", "Tier=0x01", "TierLabel=Block 2"
        ),
        (of_price("0.125", '"currency":"CAD","unit":"CAD/kWh","tier":1,"label":"Block 2"'),),
        source=Source.CAPTURED,
    ),
    Quirk(
        "an unknown currency, tier `00`, label `--`",
        price("Price=0x7d", "TrailingDigits=0x03", "Currency=0xffff", "Tier=00", "RateLabel=--"),
        (of_price("0.125", '"currency":null,"unit":null,"tier":null,"label":null'),),
        source=Source.CAPTURED,
    ),
    Quirk(
        "price 0 is logged, and flagged",
        price("Price=0x00000000", "TrailingDigits=0x02", "Currency=0x0348"),
        (of_price("0") + " not_set",),
        source=Source.CAPTURED,
    ),
    Quirk(
        "euros, tier `1`, an empty label beside one, a StartTime that is Unix time and means zero",
        price(
            "StartTime=946684800",
            "Price=0x7d",
            "TrailingDigits=0x04",
            "Currency=0x03D2",
            "Tier=1",
            "RateLabel=",
            "TierLabel=Price1",
        ),
        (of_price("0.0125", '"currency":"EUR","unit":"EUR/kWh","tier":1,"label":"Price1"'),),
        source=Source.CAPTURED,
    ),
    *(
        Quirk(
            f"{name}: there is no price, as in many homes",
            price(*fields, time=time),
            ("known, carries no reading",),
            source=Source.CAPTURED,
        )
        for name, fields, time in (
            ("`0xffffffff`", ("Price=0xffffffff", "TrailingDigits=0x02"), "0x1c91ec39"),
            (
                "`0xffffffff`, without a time",
                ("Price=0xffffffff", "TrailingDigits=0x0f"),
                "0xffffffff",
            ),
            ("TrailingDigits `0x0f`", ("Price=0x7d", "TrailingDigits=0x0f"), "0x1c91ec39"),
            ("TrailingDigits `0xff`", ("Price=0x7d", "TrailingDigits=0xff"), "0x1c91ec39"),
        )
    ),
    Quirk("no Price", price("TrailingDigits=0x02"), ("problem: missing",)),
    Quirk("no TrailingDigits", price("Price=0x7d"), ("problem: missing",)),
)
