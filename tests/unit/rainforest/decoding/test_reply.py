from __future__ import annotations

import json

import pytest

from eagle_logger.errors import EagleError, Refused, RelayUnavailable
from eagle_logger.rainforest.decoding.error_phrases import ErrorMeaning, meaning_of, parse
from eagle_logger.rainforest.decoding.reply import interpret, retry_after
from eagle_logger.rainforest.source import UnreadableReply

SECRETS = ("hunter2", "jane@example.org")


@pytest.mark.parametrize(
    ("what_it_says", "means"),
    [
        ("Request Timeout", ErrorMeaning.TRANSIENT),
        ("The request timed out", ErrorMeaning.TRANSIENT),
        ("Timeout waiting for response", ErrorMeaning.TRANSIENT),
        ("Service Unavailable", ErrorMeaning.TRANSIENT),
        ("Too many requests", ErrorMeaning.TRANSIENT),
        ("Gateway is not connected", ErrorMeaning.TRANSIENT),
        (
            "PHP Warning:  mysqli_connect(): Access denied for user 'relay'@'db' (using password: NO)",
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
def test_what_wordings_mean(what_it_says: str, means: ErrorMeaning | None) -> None:
    wording = meaning_of(what_it_says)
    assert (wording and wording.means) == means


def test_a_passing_trouble_wins_over_a_refusal() -> None:
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
    with pytest.raises(RelayUnavailable) as passing:
        interpret(status, {}, page)
    assert passing.value.reason == "web_page"


def test_a_deployments_own_wording_may_believe_a_page() -> None:
    own = parse(json.dumps([{"pattern": "no such member", "means": "refused"}]))
    with pytest.raises(Refused):
        interpret(401, {}, b"<html><body>No such member</body></html>", wordings=own)


def test_the_relays_own_notification_may_hold_html() -> None:
    with pytest.raises(Refused):
        interpret(200, {}, b"<Error><Text>Wrong password<br/></Text></Error>")


def test_a_deployment_has_its_own_wordings() -> None:
    own = parse(
        json.dumps(
            [
                {"pattern": "napping", "means": "transient", "reason": "offline"},
                {"pattern": "go away", "means": "refused"},
            ]
        )
    )
    with pytest.raises(RelayUnavailable) as passing:
        interpret(200, {}, b"<Error>Napping</Error>", wordings=own)
    assert passing.value.reason == "offline"
    with pytest.raises(Refused):
        interpret(404, {}, b"Go away", wordings=own)
    with pytest.raises(RelayUnavailable):
        interpret(200, {}, b"Request Timeout", wordings=own)


@pytest.mark.parametrize(
    "text",
    ["{}", '["x"]', '[{"pattern": "x"}]', '[{"pattern": "(", "means": "refused"}]', '[{"pattern": "x", "means": "maybe"}]',
     '[{"pattern": "x", "means": "refused", "reason": "Not A Word"}]', "no json"],
)  # fmt: skip
def test_wordings_that_are_none_are_named(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


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
    with pytest.raises(EagleError) as wrong:
        interpret(status, {}, body, SECRETS)
    shown = repr(wrong.value) + str(wrong.value) + repr(getattr(wrong.value, "problem", ""))
    assert "hunter2" not in shown
    assert "jane" not in shown


def test_an_error_page_shows_no_key() -> None:
    body = b"<NetworkInfo><InstallCode>0x8ba7f1de</InstallCode><DeviceMacId>0xd8d5b9</DeviceMacId></NetworkInfo>"
    with pytest.raises(RelayUnavailable) as wrong:
        interpret(500, {}, body)
    assert "8ba7f1de" not in str(wrong.value)
    assert "0xd8d5b9" in str(wrong.value)


def test_an_unknown_root_carries_what_was_said() -> None:
    with pytest.raises(UnreadableReply, match="FancyNewThing") as wrong:
        interpret(200, {}, b"<FancyNewThing><X>1</X></FancyNewThing>")
    assert wrong.value.problem.what == "unknown_root"
    assert wrong.value.problem.sample == "<FancyNewThing><X>1</X></FancyNewThing>"


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
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
