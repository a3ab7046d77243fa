from __future__ import annotations

import pytest

from eagle_logger.errors import EagleError, Refused, RelayUnavailable
from eagle_logger.rainforest.decoding.error_phrases import ErrorMeaning, phrase_in
from eagle_logger.rainforest.decoding.reply import interpret, retry_after
from eagle_logger.rainforest.source import UnreadableReply

SECRETS = ("hunter2", "jane@example.org")


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("Request Timeout", ErrorMeaning.TRANSIENT),
        ("The request timed out", ErrorMeaning.TRANSIENT),
        ("Timeout waiting for response", ErrorMeaning.TRANSIENT),
        ("Service Unavailable", ErrorMeaning.TRANSIENT),
        ("Too many requests", ErrorMeaning.TRANSIENT),
        ("Gateway is not connected", ErrorMeaning.TRANSIENT),
        (
            "PHP Warning: mysqli_connect(): Access denied for 'relay'@'db' (using password: NO)",
            ErrorMeaning.TRANSIENT,
        ),
        (
            "SQLSTATE[HY000] [1045] Access denied for user 'relay'@'localhost'",
            ErrorMeaning.TRANSIENT,
        ),
        ('FATAL:  password authentication failed for user "relay"', ErrorMeaning.TRANSIENT),
        ("ORA-01017: invalid username/password; logon denied", ErrorMeaning.TRANSIENT),
        (
            "Fatal error: Uncaught Exception: permission denied in /srv/auth.php on line 12",
            ErrorMeaning.TRANSIENT,
        ),
        ("Traceback (most recent call last): LoginError: unauthorized", ErrorMeaning.TRANSIENT),
        ("Invalid Cloud-Id", ErrorMeaning.REFUSED),
        ("Unknown cloud id 00ce69", ErrorMeaning.REFUSED),
        ("Wrong User or Password", ErrorMeaning.REFUSED),
        ("The password is incorrect", ErrorMeaning.REFUSED),
        ("Cloud ID not found", ErrorMeaning.REFUSED),
        ("401 Unauthorized", ErrorMeaning.REFUSED),
        ("Authentication failed", ErrorMeaning.REFUSED),
        ("Access denied", ErrorMeaning.REFUSED),
        ("Unknown MacId", ErrorMeaning.REFUSED),
        ("Unknown command", None),
        ("Welcome", None),
    ],
)
def test_what_an_error_phrase_means(text: str, means: ErrorMeaning | None) -> None:
    phrase = phrase_in(text)
    assert (phrase and phrase.means) == means


def test_trouble_that_may_pass_wins_over_a_refusal() -> None:
    with pytest.raises(RelayUnavailable):
        interpret(200, {}, b"Login failed: authentication server unavailable")


PAGES = (
    b"<!DOCTYPE html>\n<HTML><body>Wrong User or Password</body></HTML>",
    b"\r\n<h1>401 Unauthorized</h1>",
    b"<!-- blocked --><html><body>Access denied</body></html>",
    b"<center>Please log in: authentication required</center>",
)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("status", [200, 401, 403, 404])
def test_a_page_of_html_refuses_nobody(page: bytes, status: int) -> None:
    with pytest.raises(RelayUnavailable) as raised:
        interpret(status, {}, page)
    assert raised.value.reason == "web_page"


def test_an_error_of_the_relay_itself_may_hold_html() -> None:
    with pytest.raises(Refused):
        interpret(200, {}, b"<Error><Text>Wrong password<br/></Text></Error>")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<Error>Invalid password hunter2 of jane@example.org</Error>"),
        (200, b"<Surprise><Password>hunter2</Password></Surprise>"),
        (200, b"<Error>E42 hunter2</Error>"),
        (401, b"no: hunter2"),
        (404, b"jane@example.org hunter2"),
        (503, b"Sorry, hunter2"),
        (302, b"hunter2"),
        (500, b"<Who>jane@example.org</Who><InstallCode>hunter2</InstallCode>"),
    ],
)
def test_no_error_shows_a_secret(status: int, body: bytes) -> None:
    with pytest.raises(EagleError) as raised:
        interpret(status, {}, body, SECRETS)
    shown = repr(raised.value) + str(raised.value) + repr(getattr(raised.value, "problem", ""))
    assert "hunter2" not in shown
    assert "jane" not in shown


def test_an_error_page_shows_no_key() -> None:
    elements = b"<InstallCode>0x8ba7f1de</InstallCode><DeviceMacId>0xd8d5b9</DeviceMacId>"
    body = b"<NetworkInfo>" + elements + b"</NetworkInfo>"
    with pytest.raises(RelayUnavailable) as raised:
        interpret(500, {}, body)
    assert "8ba7f1de" not in str(raised.value)
    assert "0xd8d5b9" in str(raised.value)


def test_the_error_for_an_unknown_root_carries_the_reply() -> None:
    with pytest.raises(UnreadableReply, match="FancyNewThing") as raised:
        interpret(200, {}, b"<FancyNewThing><X>1</X></FancyNewThing>")
    assert raised.value.problem.what == "unknown_root"
    assert raised.value.problem.sample == "<FancyNewThing><X>1</X></FancyNewThing>"


def test_a_notification_beside_an_error_counts() -> None:
    decoded = interpret(200, {}, b"<Error>Request Timeout</Error><HistoryData/>")
    assert [problem.what for problem in decoded.problems] == ["error"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "99999999"}, 3600.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 10 Mar 2026 17:01:00 GMT"}, None),
        (
            {
                "retry-after": "Tue, 10 Mar 2026 17:01:00 GMT",
                "date": "Tue, 10 Mar 2026 17:00:00 GMT",
            },
            60.0,
        ),
        (
            {
                "retry-after": "Tue, 10 Mar 2026 16:00:00 GMT",
                "date": "Tue, 10 Mar 2026 17:00:00 GMT",
            },
            0.0,
        ),
    ],
)
def test_retry_after_as_seconds_or_as_a_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds
