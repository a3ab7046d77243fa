"""Every quirk of real gateways and of the relay: the bytes, and what comes out.

`test_quirks` checks the table; `render` makes a page of the documentation out of it, so that the page cannot be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from eagle_logger.core.hours import iso
from eagle_logger.core.lines import value_text
from eagle_logger.errors import Permanent, RelayUnavailable, Transient
from eagle_logger.rainforest.interpret import interpret


@dataclass(frozen=True)
class Quirk:
    """`comes_out`: a line for each reading, then one for each problem, or the error that is raised."""

    title: str
    body: bytes
    comes_out: tuple[str, ...]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def outcome(quirk: Quirk) -> tuple[str, ...]:
    """What really comes out."""
    try:
        decoded = interpret(quirk.status, quirk.headers, quirk.body)
    except RelayUnavailable as wrong:
        wait = "" if wrong.retry_after is None else f", wait {wrong.retry_after:g} s"
        return (f"try again later: {wrong.reason}{wait}",)
    except (Transient, Permanent) as wrong:
        return (type(wrong).__name__.replace("Reply", "").lower(),)
    lines = [
        " ".join([reading.kind, iso(reading.time), value_text(reading.values), *sorted(reading.flags)])
        for reading in decoded.readings
    ]
    lines += [f"problem: {problem.what}" for problem in decoded.problems]
    return tuple(lines) or ("known, carries no reading",)


def demand(*fields: str, time: str = "0x1c91ec39", root: str = "InstantaneousDemand") -> bytes:
    """A notification with the usual head; each field is `Name=text`."""
    elements = "".join("<{0}>{1}</{0}>".format(*one.split("=", 1)) for one in fields)
    return f"<{root}><TimeStamp>{time}</TimeStamp>{elements}</{root}>".encode()


def summation(*fields: str, time: str = "0x1c91ec39") -> bytes:
    return demand(*fields, time=time, root="CurrentSummation")


def price(*fields: str, time: str = "0x1c91ec39") -> bytes:
    return demand(*fields, time=time, root="PriceCluster")


def message(*fields: str) -> bytes:
    return demand(*fields, root="MessageCluster")


WHEN = "2015-03-10T17:54:01Z"
KW = '"unit":"kW"'
PLAIN = f'demand {WHEN} "value":0.944,{KW}'
WHOLE = demand("Demand=0x0003b0", "Multiplier=0x1", "Divisor=0x3e8")
NO_MESSAGE_STATE = '"priority":null,"confirmation_required":null,"confirmed":null,"read":null,"queue":null'


def _of_demand(value: str) -> tuple[str, ...]:
    return (f'demand {WHEN} "value":{value},{KW}',)


def _of_price(value: str, rest: str = '"currency":"USD","unit":"USD/kWh","tier":null,"label":null') -> str:
    return f'price {WHEN} "price":{value},{rest}'


NUMBERS = (
    Quirk(
        "the manual's example: 6 digits, multiplier 1, divisor 1000",
        demand("Demand=0x001738", "Multiplier=0x01", "Divisor=0x3e8"),
        _of_demand("5.944"),
    ),
    Quirk("a captured reading", WHOLE, (PLAIN,)),
    Quirk(
        "the time 0x185adc1d",
        demand("Demand=0x0003b0", "Divisor=0x3e8", time="0x185adc1d"),
        (f'demand 2012-12-12T06:09:33Z "value":0.944,{KW}',),
    ),
    Quirk(
        "a multiplier other than 1", demand("Demand=0x000222", "Multiplier=0x00000003", "Divisor=0x3e8"), _of_demand("1.638")
    ),
    Quirk("width and case of hex vary", demand("Demand=0X0003B0", "Multiplier=0x1", "Divisor=0x000003E8"), _of_demand("0.944")),
    Quirk("negative in 8 digits: an int32", demand("Demand=0xfffffc18", "Divisor=0x3e8"), _of_demand("-1")),
    Quirk("negative in 6 digits: 24 bits", demand("Demand=0xfffc18", "Divisor=0x3e8"), _of_demand("-1")),
    Quirk("negative in 16 digits: 64 bits", demand("Demand=0xfffffffffffffc18", "Divisor=0x3e8"), _of_demand("-1")),
    Quirk("fewer than 6 digits: unsigned", demand("Demand=0xfc18", "Divisor=0x3e8"), _of_demand("64.536")),
    Quirk("8 digits, positive beyond 24 bits", demand("Demand=0x00fffc18", "Divisor=0x3e8"), _of_demand("16776.216")),
    Quirk("more than 16 digits: no number", demand("Demand=0x" + "0" * 17, "Divisor=0x3e8"), ("problem: bad_number",)),
    Quirk("no number at all", demand("Demand=0x00g3b0", "Divisor=0x3e8"), ("problem: bad_number",)),
    Quirk("`0x800000`: no reading", demand("Demand=0x800000", "Divisor=0x3e8"), ("problem: sentinel",)),
    Quirk("`0xff800000`: no reading", demand("Demand=0xff800000", "Divisor=0x3e8"), ("problem: sentinel",)),
    Quirk(
        "zero multiplier and divisor mean 1", demand("Demand=0x000002", "Multiplier=0x0", "Divisor=0x00000000"), _of_demand("2")
    ),
    Quirk("empty or missing multiplier and divisor mean 1", demand("Demand=0x000002", "Multiplier="), _of_demand("2")),
    Quirk(
        "a division that does not end has 12 places",
        demand("Demand=0x000001", "Divisor=0x3"),
        _of_demand("0.333333333333"),
    ),
    Quirk("without `0x`: only what is the same in both bases", demand("Demand=0x000002", "Divisor=1"), _of_demand("2")),
    Quirk("without `0x`: never a guess", demand("Demand=0x000002", "Divisor=1000"), ("problem: bad_number",)),
    Quirk(
        "16-digit summations, unsigned",
        summation("SummationDelivered=0x00000000061cbd97", "SummationReceived=0x0000000000000000", "Divisor=0x3e8"),
        (f'summation {WHEN} "delivered":102546.839,"received":0,"unit":"kWh"',),
    ),
    Quirk(
        "the largest summation is a number, not a sign",
        summation("SummationDelivered=0xffffffffffffffff", "Divisor=0x3e8"),
        (f'summation {WHEN} "delivered":18446744073709551.615,"received":null,"unit":"kWh"',),
    ),
    Quirk(
        "`CurrentSummationDelivered` for `CurrentSummation`",
        demand("SummationDelivered=0x000003e8", "Divisor=0x3e8", root="CurrentSummationDelivered"),
        (f'summation {WHEN} "delivered":1,"received":null,"unit":"kWh"',),
    ),
    Quirk("a summation of nothing", summation("Divisor=0x3e8"), ("problem: missing",)),
)

_NO_TIMES = {
    "`0xffffffff`": "0xffffffff",
    "`0x00000000`": "0x00000000",
    "`0xffffff`": "0xffffff",
    "an empty element": "",
    "no number": "soon",
    "beyond 32 bits": "0x1ffffffff",
}
TIMES = (
    *(
        Quirk(f"no time: {name}", demand("Demand=0x0003b0", time=text), ("problem: no_time",))
        for name, text in _NO_TIMES.items()
    ),
    Quirk("no time: no element", b"<InstantaneousDemand><Demand>0x1</Demand></InstantaneousDemand>", ("problem: no_time",)),
)

PRICES = (
    Quirk("a price", price("Price=0x7d", "TrailingDigits=3", "Currency=0x0348"), (_of_price("0.125"),)),
    Quirk(
        "Canadian dollars, tier 1, label in `TierLabel`",
        price("Price=0x7d", "TrailingDigits=0x03", "Currency=0x007c", "Tier=0x01", "TierLabel=Block 2"),
        (_of_price("0.125", '"currency":"CAD","unit":"CAD/kWh","tier":1,"label":"Block 2"'),),
    ),
    Quirk(
        "an unknown currency, tier `00`, label `--`",
        price("Price=0x7d", "TrailingDigits=0x03", "Currency=0xffff", "Tier=00", "RateLabel=--"),
        (_of_price("0.125", '"currency":null,"unit":null,"tier":null,"label":null'),),
    ),
    Quirk(
        "price 0 is logged, and flagged",
        price("Price=0x00000000", "TrailingDigits=0x02", "Currency=0x0348"),
        (_of_price("0") + " not_set",),
    ),
    Quirk("`0xffffffff`: no price", price("Price=0xffffffff", "TrailingDigits=0x02"), ("problem: sentinel",)),
    Quirk("TrailingDigits `0x0f`: no price", price("Price=0x7d", "TrailingDigits=0x0f"), ("problem: sentinel",)),
    Quirk("TrailingDigits `0xff`: no price", price("Price=0x7d", "TrailingDigits=0xff"), ("problem: sentinel",)),
    Quirk("no TrailingDigits: no guess", price("Price=0x7d"), ("problem: missing",)),
)

XML = (
    Quirk("leading blanks, a byte-order mark, CRLF", b"\xef\xbb\xbf\r\n\r\n " + WHOLE.replace(b"><", b">\r\n  <"), (PLAIN,)),
    Quirk(
        "the case of tags is insignificant",
        WHOLE.replace(b"Demand", b"DEMAND").replace(b"TimeStamp", b"timestamp"),
        (PLAIN,),
    ),
    Quirk(
        "any order; `Port` twice; a needless element; an empty one",
        b"<InstantaneousDemand><Port>1</Port><Demand>0x0003b0</Demand><Port>2</Port><Divisor>0x3e8</Divisor><X/><Multiplier/>"
        b"<TimeStamp>0x1c91ec39</TimeStamp></InstantaneousDemand>",
        (PLAIN,),
    ),
    Quirk(
        "a field that decides, twice with different text",
        demand("Demand=0x0003b0", "Demand=0x0003b1", "Divisor=0x3e8"),
        ("problem: disputed",),
    ),
    Quirk(
        "several roots in one body",
        WHOLE + price("Price=0x7d", "TrailingDigits=3", "Currency=0x0348"),
        (PLAIN, _of_price("0.125")),
    ),
    Quirk(
        "newest first, out of order",
        WHOLE + WHOLE.replace(b"0x1c91ec39", b"0x1c91ec31"),
        (PLAIN, PLAIN.replace("54:01", "53:53")),
    ),
    Quirk(
        "a truncated fragment, followed at once by a whole one",
        b"<InstantaneousDemand><TimeStamp>0x1c91ec31</TimeStamp><Dem" + WHOLE,
        (PLAIN, "problem: truncated"),
    ),
    Quirk("a root left unclosed behind a whole one", WHOLE + WHOLE[:-22], (PLAIN, "problem: truncated")),
    Quirk("a tag that breaks off", WHOLE + b"<Pric", (PLAIN, "problem: truncated")),
    Quirk("only a truncated fragment: nothing is salvaged", WHOLE[:-5], ("unreadable",)),
    Quirk("an element whose end is missing", WHOLE.replace(b"</Demand>", b""), ("unreadable",)),
    Quirk("the rest of a fragment, then a whole one", WHOLE[40:] + WHOLE, (PLAIN, "problem: truncated")),
    Quirk(
        "NUL bytes between elements and behind the root are blanks",
        WHOLE.replace(b"><", b">\0<") + b"\0\0",
        (PLAIN,),
    ),
    Quirk("a NUL byte within a number: no number", demand("Demand=0x0003\x00b0"), ("problem: bad_number",)),
    Quirk(
        "HistoryData: a list of summations",
        b"<HistoryData>\r\n" + summation("SummationDelivered=0x3e8", "Divisor=0x3e8") * 2 + b"</HistoryData>",
        (f'summation {WHEN} "delivered":1,"received":null,"unit":"kWh"',) * 2,
    ),
    Quirk("an empty HistoryData", b"<HistoryData></HistoryData>", ("known, carries no reading",)),
    Quirk(
        "text in HTML escapes",
        message("Id=0x01", "Text=Heating &amp; cooling &lt;5&deg;&#39;"),
        (f'message {WHEN} "id":"0x01","text":"Heating & cooling <5°\'",{NO_MESSAGE_STATE}',),
    ),
    Quirk(
        "text in cp1252",
        message("Id=0x01", "Text=caf? ?5").replace(b"?", b"\xe9", 1).replace(b"?", b"\x80"),
        (f'message {WHEN} "id":"0x01","text":"café €5",{NO_MESSAGE_STATE}',),
    ),
    Quirk(
        "text with tags of its own, or a bare `<`",
        message("Id=0x01", "Text=Save <b>now</b>: 3 < 5"),
        (f'message {WHEN} "id":"0x01","text":"Save <b>now</b>: 3 < 5",{NO_MESSAGE_STATE}',),
    ),
    Quirk(
        "text with a heading and a picture",
        message("Id=0x01", "Text=<h1>Sale</h1><img src='a.png'/>"),
        (f'message {WHEN} "id":"0x01","text":"<h1>Sale</h1><img src=\'a.png\'/>",{NO_MESSAGE_STATE}',),
    ),
    Quirk("no message waits", message("Id=", "Text="), ("known, carries no reading",)),
    Quirk(
        "the answer to get_network_info (its secrets are never kept)",
        b"<NetworkInfo><DeviceMacId>0xd8d5b9000000abcd</DeviceMacId><InstallCode>0x0123456789abcdef</InstallCode></NetworkInfo>",
        ("known, carries no reading",),
    ),
    Quirk(
        "a schedule",
        b"<ScheduleInfo><Event>demand</Event><Frequency>8</Frequency></ScheduleInfo>",
        ("known, carries no reading",),
    ),
    Quirk(
        "an entity bomb: nothing is ever expanded",
        b'<!DOCTYPE x [<!ENTITY a "0x1"><!ENTITY b "&a;&a;">]>' + demand("Demand=&b;"),
        ("problem: bad_number",),
    ),
    Quirk("a comment that has no end hides the rest", WHOLE + b"<!-- " + WHOLE, (PLAIN, "problem: truncated")),
    Quirk("CDATA is text, and no reading", b"<![CDATA[" + WHOLE + b"]]><HistoryData/>", ("problem: garbage",)),
    Quirk(
        "what a DOCTYPE declares is no reading",
        b'<!DOCTYPE x [<!ENTITY a "' + WHOLE * 2 + b'">]>' + WHOLE,
        (PLAIN,),
    ),
    Quirk("a comment is no reading", b"<!-- " + WHOLE + b" --><HistoryData/>", ("known, carries no reading",)),
    Quirk(
        "what an uploading gateway wraps around its fragments",
        b'<?xml version="1.0"?><rainforest macId="0xd8d5b9000000abcd" timestamp="1426010045s">' + WHOLE + b"</rainforest>",
        (PLAIN,),
    ),
)

_JSON = b'{"InstantaneousDemand": {"TimeStamp": "0x1c91ec39", "Demand": "0x0003b0", "Divisor": "0x3e8"}}'
_LISTED = b'{"TimeStamp": "0x1c91ec39", "SummationDelivered": "0x3e8", "Divisor": "0x3e8"}'
_SUMMED = f'summation {WHEN} "delivered":1,"received":null,"unit":"kWh"'

JSON = (
    Quirk("JSON, though the content type says text/html", _JSON, (PLAIN,), headers={"content-type": "text/html"}),
    Quirk("JSON without its outer braces", _JSON[1:-1], (PLAIN,)),
    Quirk(
        "a list without its outer braces",
        b'"HistoryData": {"CurrentSummation": [' + _LISTED + b", " + _LISTED + b"]}",
        (_SUMMED,) * 2,
    ),
    Quirk(
        "a list that breaks off",
        b'"HistoryData": {"CurrentSummation": [' + _LISTED + b", " + _LISTED[:40],
        (_SUMMED, "problem: truncated"),
    ),
    Quirk("a comma too many", _JSON.replace(b"}", b", }", 1), (PLAIN,)),
    Quirk(
        "members that hold lists or empty objects: a list is a field that repeats, an empty one an empty field",
        _JSON.replace(b'"Demand"', b'"Port": ["1", 2], "Multiplier": {}, "Demand"'),
        (PLAIN,),
    ),
    Quirk(
        "a list of different values of what decides", _JSON.replace(b'"0x0003b0"', b'["0x1", "0x2"]'), ("problem: disputed",)
    ),
    Quirk(
        "another notification spliced into this one, over some of its members",
        _JSON.replace(b'"Demand"', b'"DeviceMacId": {"TimeStamp": "0x1"}, "Demand"'),
        ("unreadable",),
    ),
    Quirk("an object where a number should be", _JSON.replace(b'"0x0003b0"', b'{"Value": "0x1"}'), ("unreadable",)),
    Quirk("no numbers of ours: `NaN`", _JSON.replace(b'"0x0003b0"', b"NaN"), ("problem: bad_number",)),
    Quirk("no numbers of ours: an exponent", _JSON.replace(b'"0x0003b0"', b"1e999999999"), ("problem: bad_number",)),
    Quirk("a truncated object, then a whole one", _JSON[:60] + _JSON, (PLAIN, "problem: truncated")),
    Quirk("only a truncated object", _JSON[:-9], ("unreadable",)),
    Quirk("nested a thousand deep", b'{"a":' * 1000, ("unreadable",)),
    Quirk("a megabyte of digits", b'{"InstantaneousDemand": {"Demand": ' + b"9" * 50, ("unreadable",)),
)

ERRORS = (
    Quirk("an empty body", b"", ("try again later: empty",)),
    Quirk("blanks", b"\r\n\r\n", ("try again later: empty",)),
    Quirk("`Request Timeout` with status 200", b"Request Timeout", ("try again later: timed_out",)),
    Quirk("`Service Unavailable` with status 200", b"<h1>Service Unavailable</h1>", ("try again later: unavailable",)),
    Quirk("an `<Error>` that passes", b"<Error><Text>Device busy</Text></Error>", ("try again later: busy",)),
    Quirk("an `<Error>` that does not", b"<Error>Invalid Cloud-Id</Error>", ("refused",)),
    Quirk("an `<Error>` before a truncated fragment", b"<Error>Device busy</Error>" + WHOLE[:60], ("try again later: busy",)),
    Quirk("an `<Error>` nobody knows", b"<Error>E42</Error>", ("unreadable",)),
    Quirk("JSON's error", b'{"Error": {"Text": "Service Unavailable"}}', ("try again later: unavailable",)),
    Quirk("an unknown root", b"<FancyNewThing><X>1</X></FancyNewThing>", ("unreadable",)),
    Quirk("a page of HTML", b"<!DOCTYPE html><html><body>Welcome</body></html>", ("unreadable",)),
    Quirk("400: a gateway that hangs", b"Bad Request", ("try again later: busy",), status=400),
    Quirk("401", b"", ("refused",), status=401),
    Quirk("403", b"Forbidden", ("refused",), status=403),
    Quirk("408", b"", ("try again later: timed_out",), status=408),
    Quirk("429, with Retry-After", b"", ("try again later: busy, wait 30 s",), status=429, headers={"retry-after": "30"}),
    Quirk("500", b"oops", ("try again later: http_5xx",), status=500),
    Quirk("503 `Timeout waiting for response`", b"Timeout waiting for response", ("try again later: timed_out",), status=503),
    Quirk("a redirect is not followed", b"", ("try again later: redirected",), status=302),
    Quirk("a reading behind an error status is not believed", WHOLE, ("try again later: http_5xx",), status=500),
)

SECTIONS = {
    "Numbers": NUMBERS,
    "Times": TIMES,
    "Prices": PRICES,
    "XML": XML,
    "JSON": JSON,
    "Errors": ERRORS,
}


def render() -> str:
    """The table as a page of Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# What gateways send, and what comes out\n"
    yield "Each row is a test. Left, the quirk; in the middle, the bytes of the reply; right, what the system makes of them: a"
    yield "reading as it is logged, a *problem* (no line; counted, and a redacted sample kept), or an error: *try again later*,"
    yield "*refused* (after three in a row the user is parked), *unreadable* (counted, sample kept)."
    for title, quirks in SECTIONS.items():
        yield f"\n## {title}\n\n| quirk | bytes | what comes out |\n| --- | --- | --- |"
        for quirk in quirks:
            status = "" if quirk.status == 200 else f"status {quirk.status} "
            yield f"| {_cell(quirk.title)} | {status}{_code(_shown(quirk.body))} | {'<br>'.join(map(_code, quirk.comes_out))} |"


def _shown(body: bytes) -> str:
    text = repr(body)[2:-1].replace("\\'", "'")
    return text if len(text) <= 400 else f"{text[:200]} … ({len(body)} bytes)"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else "(nothing)"
