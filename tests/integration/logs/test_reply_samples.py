from __future__ import annotations

import json
from pathlib import Path

import pytest

from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs.reply_samples import DAYS_KEPT, ReplySamples
from tests.support import log_files

NOON = 1_773_144_000.0  # 2026-03-10T12:00:00Z
DAY = 86400


def kept(root: Path, cloud_id: str = "002738", day: str = "2026-03-10") -> list[dict[str, str]]:
    return [
        json.loads(text)
        for text in (root / day / f"{cloud_id}.jsonl").read_text("utf-8").splitlines()
    ]


def test_a_sample_says_whose_it_is_and_when(tmp_path: Path) -> None:
    ReplySamples(tmp_path / "samples").keep_sample(
        "002738", NOON + 0.5, "truncated: <InstantaneousDemand>\n<Dem"
    )
    assert kept(tmp_path / "samples") == [
        {
            "cloud_id": "002738",
            "at": "2026-03-10T12:00:00.500Z",
            "text": "truncated: <InstantaneousDemand>\n<Dem",
        }
    ]


def test_there_are_at_most_twenty_per_user_and_day(tmp_path: Path) -> None:
    samples = ReplySamples(tmp_path)
    for number in range(50):
        for user in ("002738", "00ce69"):
            samples.keep_sample(user, NOON, str(number))
    samples.keep_sample("002738", NOON + DAY, "tomorrow")
    assert [sample["text"] for sample in kept(tmp_path)] == list(map(str, range(20)))
    assert len(kept(tmp_path, "00ce69")) == 20
    assert len(kept(tmp_path, day="2026-03-11")) == 1


def test_a_full_user_costs_no_more_disk_access(tmp_path: Path) -> None:
    samples = ReplySamples(tmp_path)
    for _ in range(21):
        samples.keep_sample("002738", NOON, "x")
    (tmp_path / "2026-03-10" / "002738.jsonl").unlink()
    samples.keep_sample("002738", NOON, "x")
    assert list((tmp_path / "2026-03-10").iterdir()) == []


def test_processes_keep_to_the_limit_together(tmp_path: Path) -> None:
    def keep_some() -> None:
        samples = ReplySamples(tmp_path)
        for number in range(15):
            samples.keep_sample("002738", NOON, f"{number}")

    children = [log_files.fork(keep_some) for _ in range(3)]
    assert [log_files.outcome(child) for child in children] == [0, 0, 0]
    assert len(kept(tmp_path)) == 20


@pytest.mark.parametrize("text", ["x" * 100_000, "é" * 5000, "\ud800" * 5000])
def test_a_sample_is_at_most_four_kibibytes(tmp_path: Path, text: str) -> None:
    ReplySamples(tmp_path).keep_sample("002738", NOON, text)
    [sample] = kept(tmp_path)
    assert 4090 <= len(sample["text"].encode()) <= 4096


def test_old_days_go(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for day in range(DAYS_KEPT + 5):
        ReplySamples(tmp_path).keep_sample("002738", NOON + day * DAY, "x")
    assert len(list(tmp_path.glob("2026-*"))) == DAYS_KEPT
    assert (tmp_path / "notes").exists()
    assert not (tmp_path / "2026-03-10").exists()


def test_a_disk_that_refuses_a_sample_is_reported(tmp_path: Path) -> None:
    (tmp_path / "samples").write_text("in the way")
    with pytest.raises(DiskUnavailable):
        ReplySamples(tmp_path / "samples").keep_sample("002738", NOON, "x")
