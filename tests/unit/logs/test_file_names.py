from __future__ import annotations

from pathlib import Path

import pytest

from eagle_logger.core.hours import Hour
from eagle_logger.logs import file_names

PATH = Path("logs/2026-03-10-17/07/rainforest-002738-2026-03-10-17.jsonl")


def test_an_open_file_is_known_by_its_name() -> None:
    assert file_names.open_file(PATH) == file_names.LogFile(
        PATH, "002738", Hour.parse("2026-03-10-17"), "07"
    )


def test_a_sealed_file_and_its_receipt_are_named_after_the_open_one() -> None:
    path = file_names.sealed_path(PATH, 12)
    assert path.name == "rainforest-002738-2026-03-10-17.0012.sealed.jsonl"
    sealed = file_names.sealed_file(path)
    assert sealed is not None
    assert (sealed.cloud_id, sealed.hour.name) == ("002738", "2026-03-10-17")
    assert (sealed.shard, sealed.sequence) == ("07", 12)
    assert sealed.receipt_path.name == "rainforest-002738-2026-03-10-17.0012.receipt.json"
    assert file_names.numbered(sealed.receipt_path.name) == (PATH.name, 12, file_names.RECEIPT)
    assert file_names.numbered(path.name) == (PATH.name, 12, file_names.SEALED)


def test_an_hour_may_have_more_than_ten_thousand_sealed_files() -> None:
    sealed = file_names.sealed_file(file_names.sealed_path(PATH, 123_456))
    assert sealed is not None
    assert sealed.sequence == 123_456


@pytest.mark.parametrize(
    "name",
    [
        "rainforest-002738-2026-03-10-17.0001.sealed.jsonl",
        "rainforest-00273-2026-03-10-17.jsonl",
        "rainforest-002738-2026-03-10-24.jsonl",
        "rainforest-002738-2026-03-10-17.jsonl.new",
        ".rainforest-002738-2026-03-10-17.jsonl",
        "node-id",
    ],
)
def test_a_file_of_another_name_is_no_open_file(name: str) -> None:
    assert file_names.open_file(PATH.with_name(name)) is None


@pytest.mark.parametrize(
    "name",
    [
        PATH.name,
        "x.0001.sealed.jsonl",
        "rainforest-002738-2026-02-30-17.0001.sealed.jsonl",
        "rainforest-002738-2026-03-10-17.0001.receipt.json",
    ],
)
def test_a_file_of_another_name_is_no_sealed_file(name: str) -> None:
    assert file_names.sealed_file(PATH.with_name(name)) is None


def test_sealed_files_count_though_earlier_ones_were_removed(tmp_path: Path) -> None:
    path, another = tmp_path / PATH.name, tmp_path / PATH.name.replace("002738", "00ce69")
    for sequence in (2, 3, 7, 12_345):
        file_names.sealed_path(path, sequence).write_bytes(b"12345")
    for other in (path, path.with_name("rainforest-002738-2026-03-10-17.0007.receipt.json")):
        other.write_bytes(b"not counted")
    file_names.sealed_path(another, 1).write_bytes(b"not counted")
    hour = Hour.parse("2026-03-10-17")
    assert file_names.sealed_bytes(path, hour.end) == 4 * 5
    assert file_names.sealed_bytes(another, hour.end) == len(b"not counted")


def test_while_an_hour_lasts_its_sealed_files_are_tried_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.listdir", lambda _: pytest.fail("it listed the folder"))
    path, hour = tmp_path / PATH.name, Hour.parse("2026-03-10-17")
    assert file_names.sealed_bytes(path, hour.start) == 0
    for sequence in (1, 2):
        file_names.sealed_path(path, sequence).write_bytes(b"12345")
    assert file_names.sealed_bytes(path, hour.start) == 2 * 5
