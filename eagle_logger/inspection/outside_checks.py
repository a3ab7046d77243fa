"""Checks what is outside the system: the archive, the relay, and their clocks."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
import redis

from eagle_logger import wiring
from eagle_logger.core.skew import LARGEST_SKEW_S, skew
from eagle_logger.errors import EagleError, NoConditionalWrites
from eagle_logger.inspection.check_result import CheckResult
from eagle_logger.inspection.redis_checks import client_of
from eagle_logger.network.tls import client_context
from eagle_logger.settings import Settings

Answer = TypeVar("Answer")

_RELAY_ANSWERS_WITHIN_S = 5.0


def archive_is_writable(settings: Settings) -> CheckResult:
    name = "archive"
    try:
        archive = wiring.archive(settings)
        archive.prove()  # the proof puts objects, so it shows a missing right to write as well
        archive.ping()
    except NoConditionalWrites as exc:
        advice = (
            "Nothing is archived, nothing is deleted. "
            "Use a store that docs/how-to/choose-a-store.md lists."
        )
        return CheckResult.wrong(name, str(exc), advice)
    except EagleError as exc:
        advice = "Correct EAGLE_ARCHIVE_URL or the rights behind it."
        return CheckResult.wrong(name, str(exc), advice)
    found = f"{archive.url} can be listed and written, and replaces nothing"
    return CheckResult.ok(name, found)


def relay_is_reachable(settings: Settings) -> CheckResult:
    """Check that the relay's address answers HTTP. No credentials are sent."""
    name = "relay"
    try:
        reply = _get_relay(settings)
    except (httpx.HTTPError, ssl.SSLError, OSError) as exc:
        found = f"{settings.relay_url}: {type(exc).__name__}: {exc}"
        advice = "Check the network and EAGLE_RELAY_URL (and EAGLE_RELAY_CA)."
        return CheckResult.wrong(name, found, advice)
    found = f"{settings.relay_url} answers (HTTP {reply.status_code} without credentials)"
    return CheckResult.ok(name, found)


def clocks_agree(settings: Settings) -> CheckResult:
    """Compare this machine's clock with Redis', and with the relay's if the relay sends a date."""
    name = "clock"
    skews: dict[str, float] = {}
    try:
        with client_of(settings.redis_address) as client:
            client.ping()  # connects, so that connecting does not count as time for the answer
            (seconds, microseconds), sent, took = _timed(client.time)
        skews["Redis"] = skew(sent, took, seconds + microseconds / 1e6)
        reply, sent, took = _timed(lambda: _get_relay(settings))
        if date := reply.headers.get("date"):
            skews["the relay"] = skew(sent, took, parsedate_to_datetime(date).timestamp())
    except (redis.RedisError, httpx.HTTPError, OSError, ValueError):
        pass  # other checks report a server that does not answer
    if not skews:
        advice = "Make Redis and the relay answer first."
        return CheckResult.look(name, "neither Redis nor the relay gives the time", advice)
    found = ", ".join(
        f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} {server}"
        for server, ahead in skews.items()
    )
    # The relay's date is an HTTP date. It has whole seconds, so one second more may be rounding.
    if all(abs(ahead) <= LARGEST_SKEW_S + (server != "Redis") for server, ahead in skews.items()):
        return CheckResult.ok(name, found)
    advice = "Set this machine's clock (NTP): arrival times are wrong."
    return CheckResult.look(name, found, advice)


def _timed(request: Callable[[], Answer]) -> tuple[Answer, float, float]:
    """The answer, the time at which it was requested (Unix seconds), and the seconds it took."""
    sent_at, started = time.time(), time.monotonic()
    answer = request()
    return answer, sent_at, time.monotonic() - started


def _get_relay(settings: Settings) -> httpx.Response:
    return httpx.get(
        settings.relay_url,
        timeout=_RELAY_ANSWERS_WITHIN_S,
        verify=client_context(settings.relay_ca),
        follow_redirects=False,
    )
