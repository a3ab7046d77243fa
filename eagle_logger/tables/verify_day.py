"""Compares a day's tables with the archived objects, reading both anew.

The lines are read here with Python's own JSON and Decimal, and the tables with pyarrow. So a
mistake of either shows.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import file_digest
from pathlib import Path
from typing import Any

from eagle_logger.core.table_columns import row_text
from eagle_logger.core.table_plan import TableInput, TablePlan, new_inputs
from eagle_logger.errors import TableDamaged, Unreadable
from eagle_logger.tables.arrow_rows import HASH_MODULUS, hash_of_text
from eagle_logger.tables.day_objects import DayObjects
from eagle_logger.tables.input_reader import InputReader
from eagle_logger.tables.roll_up import why_not_as_planned


@dataclass(slots=True)
class DayVerdict:
    """What a comparison found. `rows` are those of the tables."""

    date: str
    files: int = 0
    rows: int = 0
    lines: int = 0
    """Lines of the objects that the tables were made of, without those that were refused."""
    refused: dict[str, str] = field(default_factory=dict)
    not_in_tables: list[str] = field(default_factory=list)
    """Objects that the index names and no plan does: they came late, or cannot be used."""
    wrong: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return not self.wrong

    def as_json(self) -> dict[str, Any]:
        return {
            "date": self.date,
            "files": self.files,
            "rows": self.rows,
            "lines": self.lines,
            "refused": self.refused,
            "not_in_tables": self.not_in_tables,
            "wrong": self.wrong,
        }


def verified_day(
    objects: DayObjects,
    reader: InputReader,
    directory: Path,
    on_rows: Callable[[int], None] = lambda _: None,
) -> DayVerdict:
    """The verdict on one day. `on_rows` is called with the number of lines that were just read.
    Raises ArchiveUnavailable."""
    verdict = DayVerdict(objects.day.date)
    stored = objects.stored()
    verdict.wrong += [f"{file.key}: no plan names it" for file in stored.unplanned]
    planned: Counter[str] = Counter()
    for file in sorted(stored.plans):
        try:
            plan = objects.plan(file)
        except TableDamaged as exc:
            verdict.wrong.append(str(exc))
            continue
        planned.update(item.key for item in plan.inputs)
        if file in stored.manifests:
            verdict.files += 1
            _compare_file(objects, plan, directory, verdict)
            _compare_lines(plan, reader, verdict, on_rows)
        else:
            verdict.wrong.append(f"{file.key}: it is planned, and not proved yet")
    verdict.wrong += [f"{key}: in {count} files" for key, count in planned.items() if count > 1]
    named = (
        TableInput.of(entry)
        for _, part in objects.index_parts(objects.index.keys)
        for entry in part.entries
    )
    verdict.not_in_tables = sorted(new_inputs(named, planned.keys()))
    verdict.wrong += [f"{key}: {reason}" for key, reason in objects.index.unreadable.items()]
    return verdict


def _compare_file(
    objects: DayObjects, plan: TablePlan, directory: Path, verdict: DayVerdict
) -> None:
    """Whether the stored file is the one that its manifest proves, and holds what its plan says."""
    key = plan.file.key
    try:
        manifest = objects.manifest(plan.file)
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="verify-", dir=directory) as own:
            path = Path(own) / plan.file.name
            objects.archive.get_file(key, path, manifest.size)
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            if digest != manifest.object_sha256:
                verdict.wrong.append(f"{key}: its bytes are not those of its manifest")
            elif why := why_not_as_planned(path, plan):
                verdict.wrong.append(f"{key}: {why}")
            else:
                verdict.rows += plan.rows
    except KeyError:
        verdict.wrong.append(f"{key}: it has a manifest, and is not there")
    except (TableDamaged, Unreadable) as exc:
        verdict.wrong.append(f"{key}: {exc}")


def _compare_lines(
    plan: TablePlan, reader: InputReader, verdict: DayVerdict, on_rows: Callable[[int], None]
) -> None:
    """Whether the objects' lines are the rows that the plan says."""
    verdict.refused.update(plan.refused)
    row_hash = lines = 0
    taken = [[item] for item in plan.inputs if item.key not in plan.refused]
    for read in reader.read_each(taken):
        if read.unusable is not None:
            verdict.wrong.append(f"{read.key}: {read.unusable}")
            continue
        try:
            row_hash += sum(map(_hash_of_line, read.plain.splitlines()))
        except (ValueError, ArithmeticError, TypeError) as exc:
            verdict.wrong.append(f"{read.key}: {exc}")
        lines += read.item.rows
        on_rows(read.item.rows)
    verdict.lines += lines
    if (lines, f"{row_hash % HASH_MODULUS:032x}") != (plan.rows, plan.row_hash):
        verdict.wrong.append(
            f"{plan.file.key}: its objects hold {lines} readings, and not the same as its "
            f"{plan.rows} rows"
        )


def _hash_of_line(text: bytes) -> int:
    line = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    return hash_of_text(row_text(line).encode("utf-8", "backslashreplace"))
