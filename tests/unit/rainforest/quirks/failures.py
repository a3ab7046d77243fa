"""The ways in which a gateway or the relay says that it has no reading."""

from __future__ import annotations

from tests.unit.rainforest.quirks.quirk import WHOLE, Quirk

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
    Quirk(
        "429, with Retry-After as a date",
        b"",
        ("try again later: busy, wait 60 s",),
        status=429,
        headers={"date": "Tue, 10 Mar 2026 17:00:00 GMT", "retry-after": "Tue, 10 Mar 2026 17:01:00 GMT"},
    ),
    Quirk("500", b"oops", ("try again later: http_5xx",), status=500),
    Quirk("503 `Timeout waiting for response`", b"Timeout waiting for response", ("try again later: timed_out",), status=503),
    Quirk("a redirect is not followed", b"", ("try again later: redirected",), status=302),
    Quirk("a reading behind an error status is not believed", WHOLE, ("try again later: http_5xx",), status=500),
)
