"""`eagle-logger verify`"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import httpx

from eagle_logger import wiring
from eagle_logger.cli.options import with_settings
from eagle_logger.errors import ConfigurationError
from eagle_logger.inspection.ledger_comparison import Verdict, compare
from eagle_logger.logs.folder import LogFolder
from eagle_logger.settings import Settings

_LEDGERS = ("ledger.jsonl", "simulator/ledger.jsonl")


@click.command()
@with_settings
@click.option("--ledger", help="File or URL (default: ledger.jsonl in the data directory).")
@click.option("--archive", "archive_url", help="s3://bucket/prefix or file:///directory (default: EAGLE_ARCHIVE_URL).")
@click.option(
    "--deaths",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Recorded deaths of processes (default: deaths.jsonl in the data directory).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(settings: Settings, ledger: str | None, archive_url: str | None, deaths: Path | None, *, as_json: bool) -> None:
    """Compare the simulator's ledger with the archive: is every reading that was served there, exactly once?

    Safe beside a running system: a reading on this disk, or one that was served a moment ago, is "not archived yet". Exit 1
    if a reading is lost or doubled.
    """
    if archive_url:
        settings = settings.model_copy(update={"archive_url": archive_url})
    verdict = verified(settings, ledger, deaths, running=True)
    print(json.dumps(verdict.as_json()) if as_json else _in_words(verdict))
    sys.exit(0 if verdict.is_well else 1)


def verified(settings: Settings, ledger: str | None = None, deaths: Path | None = None, *, running: bool = False) -> Verdict:
    """The verdict on this data directory. `running`: its system may still run, so a reading on the disk is not lost.

    Raises ConfigurationError if there is no ledger, ArchiveUnavailable if the archive does not answer.
    """
    died = deaths or settings.data_dir / "deaths.jsonl"
    lines = died.read_bytes().splitlines(keepends=True) if died.exists() else []
    with TemporaryDirectory(prefix="eagle-logger-") as directory:
        path = _ledger_file(settings, ledger, Path(directory))
        archive = wiring.archive(settings)
        if not running:
            return compare(lambda: _lines(path), archive, lines)
        on_disk = _lines_on_disk(wiring.log_folder(settings))
        return compare(lambda: _lines(path), archive, lines, on_disk=on_disk, now=time.time())


def _lines(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        yield from file


def _lines_on_disk(folder: LogFolder) -> Iterator[tuple[str, bytes]]:
    """The lines of open and sealed log files, each with its user. A file that is gone has moved on: an open one was sealed,
    and sealed files are read after the open ones; a sealed one was archived."""
    for hour in folder.hours():
        for shard in folder.shards(hour):
            for files in (folder.open_files, folder.sealed_files):
                for file in files(hour, shard):
                    with suppress(FileNotFoundError):
                        yield from ((file.cloud_id, text) for text in file.path.read_bytes().splitlines())


def _ledger_file(settings: Settings, ledger: str | None, directory: Path) -> Path:
    if ledger is None:
        found = [settings.data_dir / name for name in _LEDGERS if (settings.data_dir / name).exists()]
        if not found:
            raise ConfigurationError(f"there is no {_LEDGERS[0]} in {settings.data_dir}: name one with --ledger")
        return found[0]
    if ledger.startswith(("http://", "https://")):
        return _fetched(ledger, directory / _LEDGERS[0])
    if not Path(ledger).is_file():
        raise ConfigurationError(f"--ledger {ledger}: there is no such file")
    return Path(ledger)


def _fetched(url: str, path: Path) -> Path:
    try:
        with httpx.stream("GET", url, timeout=30) as answer, path.open("wb") as file:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                file.write(piece)
    except (httpx.HTTPError, httpx.InvalidURL) as wrong:
        raise ConfigurationError(f"--ledger {url}: {wrong}") from None
    return path


def _in_words(verdict: Verdict) -> str:
    counts = verdict.as_json()
    lines = [f"{name.replace('_', ' '):18} {count}" for name, count in counts.items() if isinstance(count, int)]
    return "\n".join([*lines, *(f"unreadable: {one}" for one in verdict.unreadable), *verdict.examples])
