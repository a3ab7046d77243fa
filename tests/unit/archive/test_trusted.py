"""When an archive is asked to prove that it replaces nothing, and what is refused before it has."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from eagle_logger.archive import trusted
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.archive.trusted import PROOF_ASKED_AGAIN_AFTER_S, TrustedArchive
from eagle_logger.errors import ArchiveUnavailable, EagleError, NoConditionalWrites

KEY = "cloud_id=002738/date=2026-03-10/002738-2026-03-10-17.jsonl.gz"


class Doubtful(MemoryArchive):
    """Raises the next of `answers` when it is asked for its proof. Without any left, it proves."""

    def __init__(self, *answers: EagleError) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked = 0
        self.puts = 0

    def prove(self) -> None:
        self.asked += 1
        if self.answers:
            raise self.answers.pop(0)

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        self.puts += 1
        super().put(key, body, metadata)


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    clock = HandClock()
    monkeypatch.setattr(trusted, "time", clock)
    return clock


def test_the_proof_is_asked_for_once_and_before_the_first_put() -> None:
    archive = Doubtful()
    trusted_archive = TrustedArchive(archive)
    assert archive.asked == 0
    for number in range(3):
        trusted_archive.put(f"{KEY}.{number}", b"body", {})
    trusted_archive.prove()
    assert (archive.asked, archive.puts) == (1, 3)


def test_nothing_is_put_into_an_archive_that_replaces_objects(clock: HandClock) -> None:
    archive = Doubtful(NoConditionalWrites())
    trusted_archive = TrustedArchive(archive)
    for _ in range(3):
        clock.now += PROOF_ASKED_AGAIN_AFTER_S / 4
        with pytest.raises(NoConditionalWrites, match="cannot be used"):
            trusted_archive.put(KEY, b"body", {})
    assert (archive.asked, archive.puts) == (1, 0)


def test_a_store_that_was_repaired_is_used_again(clock: HandClock) -> None:
    archive = Doubtful(NoConditionalWrites())
    trusted_archive = TrustedArchive(archive)
    with pytest.raises(NoConditionalWrites):
        trusted_archive.prove()
    clock.now += PROOF_ASKED_AGAIN_AFTER_S + 1
    trusted_archive.put(KEY, b"body", {})
    assert (archive.asked, archive.puts) == (2, 1)


def test_an_archive_that_was_away_is_asked_at_once_again(clock: HandClock) -> None:
    archive = Doubtful(ArchiveUnavailable("away"), ArchiveUnavailable("away"))
    trusted_archive = TrustedArchive(archive)
    for _ in range(2):
        clock.now += 1
        with pytest.raises(ArchiveUnavailable, match="away"):
            trusted_archive.put(KEY, b"body", {})
    clock.now += 1
    trusted_archive.put(KEY, b"body", {})
    assert (archive.asked, archive.puts) == (3, 1)


def test_threads_that_wait_for_the_same_answer_share_it() -> None:
    """Otherwise an archive that hangs would hold up each of them, one after the other."""
    waiting, away = threading.Barrier(8), threading.Event()

    class Hanging(Doubtful):
        def prove(self) -> None:
            self.asked += 1
            assert away.wait(10)
            raise ArchiveUnavailable("away")

    archive = Hanging()
    trusted_archive = TrustedArchive(archive)
    arrived = threading.Semaphore(0)
    lock = trusted_archive._lock

    class Counted:
        """The lock. It counts the threads that have come to it."""

        def __enter__(self) -> None:
            arrived.release()
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    trusted_archive._lock = Counted()  # type: ignore[assignment]

    def put() -> str:
        waiting.wait(10)
        with pytest.raises(ArchiveUnavailable) as caught:
            trusted_archive.put(KEY, b"body", {})
        return str(caught.value)

    with ThreadPoolExecutor(8) as pool:
        puts = [pool.submit(put) for _ in range(8)]
        for _ in range(8):
            assert arrived.acquire(timeout=10)
        away.set()
        assert [put.result(10) for put in puts] == ["away"] * 8
    assert (archive.asked, archive.puts) == (1, 0)


def test_objects_can_be_read_without_a_proof() -> None:
    archive = Doubtful(NoConditionalWrites())
    archive.put(KEY, b"body", {"rows": "1"})
    trusted_archive = TrustedArchive(archive)
    info = trusted_archive.head(KEY)
    assert info is not None
    assert (trusted_archive.get(KEY), list(trusted_archive.keys()), trusted_archive.url) == (
        b"body",
        [KEY],
        "memory:",
    )
    trusted_archive.ping()
    assert archive.asked == 0
