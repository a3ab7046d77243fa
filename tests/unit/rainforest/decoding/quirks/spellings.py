"""Quirks of the XML and the JSON around them."""

from __future__ import annotations

from tests.unit.rainforest.decoding.quirks.quirk import (
    NO_MESSAGE_STATE,
    PLAIN,
    WHEN,
    WHOLE,
    Quirk,
    Source,
    demand,
    message,
    of_price,
    price,
    summation,
)

XML = (
    Quirk(
        "leading blanks, a byte-order mark, CRLF",
        b"\xef\xbb\xbf\r\n\r\n " + WHOLE.replace(b"><", b">\r\n  <"),
        (PLAIN,),
        source=Source.CAPTURED,
    ),
    Quirk(
        "the case of tags is insignificant",
        WHOLE.replace(b"Demand", b"DEMAND").replace(b"TimeStamp", b"timestamp"),
        (PLAIN,),
        source=Source.MANUAL,
    ),
    Quirk(
        "any order; `Port` twice; a needless element; an empty one",
        b"<InstantaneousDemand><Port>1</Port><Demand>0x0003b0</Demand><Port>2</Port>"
        b"<Divisor>0x3e8</Divisor><X/><Multiplier/><TimeStamp>0x1c91ec39</TimeStamp></InstantaneousDemand>",
        (PLAIN,),
        source=Source.CAPTURED,
    ),
    Quirk(
        "a field that decides, twice with different text",
        demand("Demand=0x0003b0", "Demand=0x0003b1", "Divisor=0x3e8"),
        ("problem: disputed",),
    ),
    Quirk(
        "several roots in one body",
        WHOLE + price("Price=0x7d", "TrailingDigits=3", "Currency=0x0348"),
        (PLAIN, of_price("0.125")),
        source=Source.CAPTURED,
    ),
    Quirk(
        "newest first, out of order",
        WHOLE + WHOLE.replace(b"0x1c91ec39", b"0x1c91ec31"),
        (PLAIN, PLAIN.replace("54:01", "53:53")),
        source=Source.CAPTURED,
    ),
    Quirk(
        "a truncated fragment, followed at once by a whole one",
        b"<InstantaneousDemand><TimeStamp>0x1c91ec31</TimeStamp><Dem" + WHOLE,
        (PLAIN, "problem: truncated"),
        source=Source.CAPTURED,
    ),
    Quirk(
        "a root left unclosed behind a whole one",
        WHOLE + WHOLE[:-22],
        (PLAIN, "problem: truncated"),
        source=Source.CAPTURED,
    ),
    Quirk("a tag that breaks off", WHOLE + b"<Pric", (PLAIN, "problem: truncated")),
    Quirk("only a truncated fragment: nothing is salvaged", WHOLE[:-5], ("unreadable",)),
    Quirk(
        "an end tag with something spliced into it is no end",
        WHOLE.replace(b"</InstantaneousDemand>", b"</InstantaneousDemand 0x1c91ec39>") + WHOLE,
        (PLAIN, "problem: truncated"),
    ),
    Quirk("an element whose end is missing", WHOLE.replace(b"</Demand>", b""), ("unreadable",)),
    Quirk(
        "the rest of a fragment, then a whole one",
        WHOLE[40:] + WHOLE,
        (PLAIN, "problem: truncated"),
    ),
    Quirk(
        "NUL bytes between elements and behind the root are blanks",
        WHOLE.replace(b"><", b">\0<") + b"\0\0",
        (PLAIN,),
    ),
    Quirk(
        "a NUL byte within a number: no number",
        demand("Demand=0x0003\x00b0"),
        ("problem: bad_number",),
    ),
    Quirk(
        "HistoryData: a list of summations",
        b"<HistoryData>\r\n"
        + summation("SummationDelivered=0x3e8", "Divisor=0x3e8") * 2
        + b"</HistoryData>",
        (f'summation {WHEN} "delivered":1,"received":null,"unit":"kWh"',) * 2,
        source=Source.MANUAL,
    ),
    Quirk("an empty HistoryData", b"<HistoryData></HistoryData>", ("known, carries no reading",)),
    Quirk(
        "text in HTML escapes",
        message("Id=0x01", "Text=Heating &amp; cooling &lt;5&deg;&#39;"),
        (f'message {WHEN} "id":"0x01","text":"Heating & cooling <5°\'",{NO_MESSAGE_STATE}',),
        source=Source.CAPTURED,
    ),
    Quirk(
        "text in cp1252",
        message("Id=0x01", "Text=caf? ?5").replace(b"?", b"\xe9", 1).replace(b"?", b"\x80"),
        (f'message {WHEN} "id":"0x01","text":"café €5",{NO_MESSAGE_STATE}',),
        source=Source.CAPTURED,
    ),
    Quirk(
        "text with tags of its own, or a bare `<`",
        message("Id=0x01", "Text=Save <b>now</b>: 3 < 5"),
        (f'message {WHEN} "id":"0x01","text":"Save <b>now</b>: 3 < 5",{NO_MESSAGE_STATE}',),
    ),
    Quirk(
        "text with a heading and a picture",
        message("Id=0x01", "Text=<h1>Sale</h1><img src='a'/>"),
        (f'message {WHEN} "id":"0x01","text":"<h1>Sale</h1><img src=\'a\'/>",{NO_MESSAGE_STATE}',),
    ),
    Quirk(
        "no message waits: the cloud's usual answer",
        message(
            *("StartTime=0x00000000", "Duration=0x0000", "Id=0x00000000"),
            *("ConfirmationRequired=N", "Confirmed=N", "Read=Y", "Queue=active"),
            time="0x00000000",
        ),
        ("known, carries no reading",),
        source=Source.CAPTURED,
    ),
    *(
        Quirk(f"no message waits: {name}", body, ("known, carries no reading",))
        for name, body in (
            ("Id 0, a time", message("Id=0x00000000", "Confirmed=N", "Read=Y", "Queue=active")),
            ("empty elements", message("Id=", "Text=")),
            (
                "`Id` in 4 digits, an empty text",
                message("Id=0x0000", "Text=", "Queue=active", time=""),
            ),
            (
                "`Id` without `0x`, blanks for a text",
                message("Id= 00 ", "Text= \r\n&nbsp;", "Queue=cancel", time="0xffffffff"),
            ),
            ("`<Text/>`, nothing else", b"<MessageCluster><Text/></MessageCluster>"),
            ("nothing in it", b"<MessageCluster></MessageCluster>"),
        )
    ),
    Quirk(
        "a message with the Id 0 and a text is one",
        message("Id=0x00000000", "Text=Welcome to the program"),
        (f'message {WHEN} "id":"0x00000000","text":"Welcome to the program",{NO_MESSAGE_STATE}',),
    ),
    Quirk(
        "a message with an Id and an empty text is one",
        message("Id=0x00000017", "Text="),
        (f'message {WHEN} "id":"0x00000017","text":"",{NO_MESSAGE_STATE}',),
    ),
    Quirk(
        "the answer to get_network_info (its secrets are never kept)",
        b"<NetworkInfo><DeviceMacId>0xd8d5b9000000abcd</DeviceMacId>"
        b"<InstallCode>0x0123456789abcdef</InstallCode></NetworkInfo>",
        ("known, carries no reading",),
        source=Source.CAPTURED,
    ),
    Quirk(
        "`LinkKeyHigh` without `0x`, in a reply that breaks off: hidden in the sample too",
        b"<NetworkInfo><LinkKeyHigh>0123456789abcdef</LinkKeyHigh>",
        ("unreadable",),
        source=Source.CAPTURED,
    ),
    Quirk(
        "the answer to get_network_status, or `NetworkInfo` in its place",
        b"<NetworkStatus><Status>Join: Success</Status><Channel>14</Channel></NetworkStatus>"
        b"<NetworkInfo><Status>Connected</Status>"
        b"<Manufacturer>Rainforest Automation, I</Manufacturer></NetworkInfo>",
        ("known, carries no reading",),
        source=Source.CAPTURED,
    ),
    Quirk(
        "notifications without a reading, as in an upload",
        b"<MeterInfo><Type>0x0000</Type></MeterInfo>"
        b"<ConnectionStatus><Status>Rejoining</Status></ConnectionStatus>",
        ("known, carries no reading",),
        source=Source.CAPTURED,
    ),
    Quirk(
        "a schedule, its Frequency decimal",
        b"<ScheduleInfo><Event>demand</Event><Frequency>8</Frequency></ScheduleInfo>",
        ("known, carries no reading",),
        source=Source.CAPTURED,
    ),
    Quirk(
        "all schedules",
        b"<ScheduleList><ScheduleInfo><Event>demand</Event></ScheduleInfo>"
        b"<ScheduleInfo/></ScheduleList>",
        ("known, carries no reading",),
        source=Source.MANUAL,
    ),
    Quirk(
        "demand peaks: decimals without a time",
        b"<DemandPeaks><Peak>5.944</Peak><PeakYesterday>4.2</PeakYesterday></DemandPeaks>",
        ("known, carries no reading",),
        source=Source.CAPTURED,
    ),
    Quirk(
        "an entity bomb: nothing is ever expanded",
        b'<!DOCTYPE x [<!ENTITY a "0x1"><!ENTITY b "&a;&a;">]>' + demand("Demand=&b;"),
        ("problem: bad_number",),
    ),
    Quirk(
        "a comment that has no end hides the rest",
        WHOLE + b"<!-- " + WHOLE,
        (PLAIN, "problem: truncated"),
    ),
    Quirk(
        "a reading inside CDATA does not count",
        b"<![CDATA[" + WHOLE + b"]]><HistoryData/>",
        ("problem: garbage",),
    ),
    Quirk(
        "a reading inside a DOCTYPE does not count",
        b'<!DOCTYPE x [<!ENTITY a "' + WHOLE * 2 + b'">]>' + WHOLE,
        (PLAIN,),
    ),
    Quirk(
        "a reading inside a comment does not count",
        b"<!-- " + WHOLE + b" --><HistoryData/>",
        ("known, carries no reading",),
    ),
    Quirk(
        "the element that an uploading gateway wraps around its notifications",
        b'<?xml version="1.0"?><rainforest macId="0xd8d5b9000000abcd" timestamp="1426010045s">'
        + WHOLE
        + b"</rainforest>",
        (PLAIN,),
        source=Source.CAPTURED,
    ),
)

_JSON = (
    b'{"InstantaneousDemand": '
    b'{"TimeStamp": "0x1c91ec39", "Demand": "0x0003b0", "Divisor": "0x3e8"}}'
)
_LISTED = b'{"TimeStamp": "0x1c91ec39", "SummationDelivered": "0x3e8", "Divisor": "0x3e8"}'
_SUMMED = f'summation {WHEN} "delivered":1,"received":null,"unit":"kWh"'

JSON = (
    *(
        Quirk(
            f"no message waits: {name}",
            b'{"MessageCluster": {' + members + b"}}",
            ("known, carries no reading",),
        )
        for name, members in (
            (
                "as the cloud sends it",
                b'"TimeStamp": "0x00000000", "Id": "0x00000000", "Read": "Y", "Queue": "active"',
            ),
            ("an empty text", b'"TimeStamp": "0x1c91ec39", "Id": "0x0000", "Text": ""'),
            ("`null`, and a number", b'"TimeStamp": null, "Id": 0, "Text": null'),
            ("an empty object for an empty element", b'"Id": "0x00000000", "Text": {}'),
        )
    ),
    Quirk(
        "JSON, though the content type says text/html",
        _JSON,
        (PLAIN,),
        headers={"content-type": "text/html"},
        source=Source.CAPTURED,
    ),
    Quirk("JSON without its outer braces", _JSON[1:-1], (PLAIN,), source=Source.CAPTURED),
    Quirk(
        "a list without its outer braces",
        b'"HistoryData": {"CurrentSummation": [' + _LISTED + b", " + _LISTED + b"]}",
        (_SUMMED,) * 2,
        source=Source.CAPTURED,
    ),
    Quirk(
        "a list that breaks off",
        b'"HistoryData": {"CurrentSummation": [' + _LISTED + b", " + _LISTED[:40],
        (_SUMMED, "problem: truncated"),
    ),
    Quirk(
        "the malformed array of list_network",
        b'"NetworkList": {"NetworkStatus": {"Status": "Connected"}, {"Status": "Rejoining"}]}',
        ("problem: unknown_root",),
        source=Source.CAPTURED,
    ),
    Quirk("a comma too many", _JSON.replace(b"}", b", }", 1), (PLAIN,)),
    Quirk(
        "a list for a field that repeats, an empty object for an empty field",
        _JSON.replace(b'"Demand"', b'"Port": ["1", 2], "Multiplier": {}, "Demand"'),
        (PLAIN,),
    ),
    Quirk(
        "a list of different values for a field that decides",
        _JSON.replace(b'"0x0003b0"', b'["0x1", "0x2"]'),
        ("problem: disputed",),
    ),
    Quirk(
        "another notification spliced into this one, over some of its members",
        _JSON.replace(b'"Demand"', b'"DeviceMacId": {"TimeStamp": "0x1"}, "Demand"'),
        ("unreadable",),
    ),
    Quirk(
        "an object where a number should be",
        _JSON.replace(b'"0x0003b0"', b'{"Value": "0x1"}'),
        ("unreadable",),
    ),
    Quirk(
        "not a number of the protocol: `NaN`",
        _JSON.replace(b'"0x0003b0"', b"NaN"),
        ("problem: bad_number",),
    ),
    Quirk(
        "not a number of the protocol: an exponent",
        _JSON.replace(b'"0x0003b0"', b"1e999999999"),
        ("problem: bad_number",),
    ),
    Quirk(
        "a truncated object, then a whole one", _JSON[:60] + _JSON, (PLAIN, "problem: truncated")
    ),
    Quirk("only a truncated object", _JSON[:-9], ("unreadable",)),
    Quirk("nested a thousand deep", b'{"a":' * 1000, ("unreadable",)),
    Quirk(
        "a megabyte of digits", b'{"InstantaneousDemand": {"Demand": ' + b"9" * 50, ("unreadable",)
    ),
)
