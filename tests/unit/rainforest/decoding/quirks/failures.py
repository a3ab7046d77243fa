"""The ways in which a gateway or the relay says that it has no reading."""

from __future__ import annotations

from tests.unit.rainforest.decoding.quirks.quirk import WHOLE, Quirk, Source

_PHP = (
    b"<br />\n<b>Warning</b>:  mysql_connect(): Access denied for user 'relay'@'localhost' "
    b"(using password: YES) in <b>/var/www/html/db.php</b> on line <b>9</b><br />\n"
)
_BLOCKED = (
    b"<html><head><title>403 Forbidden</title></head>"
    b"<body><h1>Access denied</h1>Incident 77</body></html>"
)

ERRORS = (
    Quirk("an empty body", b"", ("try again later: empty",), source=Source.CAPTURED),
    Quirk("blanks", b"\r\n\r\n", ("try again later: empty",)),
    Quirk(
        "`Request Timeout` with status 200",
        b"Request Timeout",
        ("try again later: timed_out",),
        source=Source.CAPTURED,
    ),
    Quirk(
        "`Service Unavailable` with status 200",
        b"<h1>Service Unavailable</h1>",
        ("try again later: unavailable",),
        source=Source.CAPTURED,
    ),
    Quirk(
        "an `<Error>` about passing trouble",
        b"<Error><Text>Device busy</Text></Error>",
        ("try again later: busy",),
    ),
    Quirk("an `<Error>` that refuses", b"<Error>Invalid Cloud-Id</Error>", ("refused",)),
    Quirk(
        "an `<Error>` before a truncated fragment",
        b"<Error>Device busy</Error>" + WHOLE[:60],
        ("try again later: busy",),
    ),
    Quirk("an unknown `<Error>`", b"<Error>E42</Error>", ("unreadable",)),
    Quirk(
        "an error in JSON",
        b'{"Error": {"Text": "Service Unavailable"}}',
        ("try again later: unavailable",),
    ),
    Quirk("an unknown root", b"<FancyNewThing><X>1</X></FancyNewThing>", ("unreadable",)),
    Quirk("a page of HTML", b"<!DOCTYPE html><html><body>Welcome</body></html>", ("unreadable",)),
    Quirk(
        "400: a gateway that hangs",
        b"Bad Request",
        ("try again later: busy",),
        status=400,
        source=Source.CAPTURED,
    ),
    Quirk("401", b"", ("refused",), status=401, source=Source.CAPTURED),
    Quirk("403", b"Forbidden", ("refused",), status=403),
    Quirk(
        "403 about passing trouble", b"Rate limit exceeded", ("try again later: busy",), status=403
    ),
    Quirk("a proxy's block page, 401", _BLOCKED, ("try again later: web_page",), status=401),
    Quirk("a proxy's block page, 403", _BLOCKED, ("try again later: web_page",), status=403),
    Quirk("a proxy's block page, 200", _BLOCKED, ("try again later: web_page",)),
    Quirk(
        "407: a proxy wants a password", b"Access denied", ("try again later: proxy",), status=407
    ),
    Quirk("PHP: the relay's own database", _PHP, ("try again later: server_error",)),
    Quirk(
        "PHP: the relay's own database, with 403",
        _PHP,
        ("try again later: server_error",),
        status=403,
    ),
    Quirk("408", b"", ("try again later: timed_out",), status=408),
    Quirk(
        "429, with Retry-After",
        b"",
        ("try again later: busy, wait 30 s",),
        status=429,
        headers={"retry-after": "30"},
    ),
    Quirk(
        "429, with Retry-After as a date",
        b"",
        ("try again later: busy, wait 60 s",),
        status=429,
        headers={
            "date": "Tue, 10 Mar 2026 17:00:00 GMT",
            "retry-after": "Tue, 10 Mar 2026 17:01:00 GMT",
        },
    ),
    Quirk("500", b"oops", ("try again later: http_5xx",), status=500),
    Quirk(
        "503 `Timeout waiting for response`",
        b"Timeout waiting for response",
        ("try again later: timed_out",),
        status=503,
        source=Source.CAPTURED,
    ),
    Quirk("a redirect is not followed", b"", ("try again later: redirected",), status=302),
    Quirk(
        "a reading behind an error status is not believed",
        WHOLE,
        ("try again later: http_5xx",),
        status=500,
    ),
)
