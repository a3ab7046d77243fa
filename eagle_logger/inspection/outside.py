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
from eagle_logger.core.skew import LARGEST_SKEW, skew
from eagle_logger.errors import EagleError, NoConditionalWrites
from eagle_logger.inspection.finding import CheckResult, look, ok, wrong
from eagle_logger.inspection.redis_servers import client_of
from eagle_logger.network.tls import client_context
from eagle_logger.settings import Settings

Result = TypeVar("Result")


def archive_is_writable(settings: Settings) -> CheckResult:
    try:
        archive = wiring.archive(settings)
        archive.prove()  # this tries the right to write as well, which a store checks first
        archive.ping()
    except NoConditionalWrites as exc:
        advice = "Nothing is archived, nothing is deleted. Use a store that docs/how-to/choose-a-store.md lists."
        return wrong("archive", found=str(exc), advice=advice)
    except EagleError as exc:
        return wrong(
            "archive", found=str(exc), advice="Correct EAGLE_ARCHIVE_URL or the rights behind it."
        )
    return ok("archive", found=f"{archive.url} can be listed and written, and replaces nothing")


def relay_is_reachable(settings: Settings) -> CheckResult:
    """Check that the relay's address answers HTTP. No credentials are sent."""
    try:
        answer = _ask_relay(settings)
    except (httpx.HTTPError, ssl.SSLError, OSError) as exc:
        found = f"{settings.relay_url}: {type(exc).__name__}: {exc}"
        return wrong(
            "relay",
            found=found,
            advice="Check the network and EAGLE_RELAY_URL (and EAGLE_RELAY_CA).",
        )
    return ok(
        "relay",
        found=f"{settings.relay_url} answers (HTTP {answer.status_code} without credentials)",
    )


def clocks_agree(settings: Settings) -> CheckResult:
    """Compare this machine's clock with Redis', and with the relay's if the relay sends a date."""
    skews: dict[str, float] = {}
    try:
        with client_of(settings.redis_address) as client:
            client.ping()  # makes the connection before the time is taken
            (seconds, microseconds), sent, took = _timed(client.time)
        skews["Redis"] = skew(sent, took, seconds + microseconds / 1e6)
        answer, sent, took = _timed(lambda: _ask_relay(settings))
        if date := answer.headers.get("date"):
            skews["the relay"] = skew(sent, took, parsedate_to_datetime(date).timestamp())
    except (redis.RedisError, httpx.HTTPError, OSError, ValueError):
        pass  # what does not answer has a finding of its own
    if not skews:
        return look(
            "clock", found="nobody to compare with", advice="Make Redis and the relay answer first."
        )
    found = ", ".join(f"{ahead:+.1f} s against {name}" for name, ahead in skews.items())
    # An HTTP date has whole seconds, so up to one of its seconds is rounding.
    well = all(abs(ahead) <= LARGEST_SKEW + (name != "Redis") for name, ahead in skews.items())
    if well:
        return ok("clock", found)
    return look("clock", found, "Set this machine's clock (NTP): arrival times are wrong.")


def _timed(ask: Callable[[], Result]) -> tuple[Result, float, float]:
    """The answer, this machine's clock before the question (Unix seconds), and the seconds until
    the answer."""
    shown, sent = time.time(), time.monotonic()
    answer = ask()
    return answer, shown, time.monotonic() - sent


def _ask_relay(settings: Settings) -> httpx.Response:
    return httpx.get(
        settings.relay_url,
        timeout=5,
        verify=client_context(settings.relay_ca),
        follow_redirects=False,
    )
