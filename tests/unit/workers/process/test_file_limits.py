"""The limit of open files, raised in child processes: no later test is to run under it."""

from __future__ import annotations

import resource

import pytest

from tests.support.log_files import fork, outcome
from workers.process.file_limits import raise_limit


@pytest.mark.parametrize(
    ("wanted", "then"),
    [(150, 150), (10_000, 200), (10, 100)],
    ids=["as far as wanted", "as far as allowed", "never lower"],
)
def test_the_soft_limit_is_raised(wanted: int, then: int) -> None:
    def child() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
        raise_limit(wanted)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (then, 200)

    assert outcome(fork(child)) == 0


def test_no_limit_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("there was nothing to raise"))
    raise_limit(10_000)


def test_a_limit_that_the_system_does_not_grant_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_limit(10_000)
