"""The ledger against the archive: each kind of difference has a count of its own."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.cli.main import main
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.line_parser import read_lines
from eagle_logger.core.paths import archive_key
from eagle_logger.core.readings import Flag, Reading, Undated, Value
from eagle_logger.core.sealing import part_of
from eagle_logger.errors import Unreadable
from eagle_logger.inspection.ledger_comparison import LedgerComparison, compare
from eagle_logger.inspection.ledger_file import FSYNCED_WITHIN_S
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.writer import LogWriter
from tests.support.log_lines import CLOUD_ID, DEVICE, HOUR, METER, demand

AGENT = "eagle-logger/0.1.0 fetch-1/4711"


def reply(
    *readings: dict[str, Any], agent: str = AGENT, wall: float = 1000.0, client_closed: bool = False
) -> bytes:
    row = {
        "completed": wall,
        "wall": wall,
        "connection": 1,
        "agent": agent,
        "cloud_id": CLOUD_ID,
        "client_closed": client_closed,
        "readings": list(readings),
    }
    return json.dumps(row).encode() + b"\n"


def reading(offset: int, value: str) -> dict[str, Any]:
    return {
        "device": DEVICE,
        "meter": METER,
        "kind": "demand",
        "time": HOUR.start + offset,
        "value": value,
    }


def death(wall: float, agent: str = AGENT) -> bytes:
    return (
        json.dumps({"wall": wall, "name": "fetch-1", "pid": 4711, "agent": agent}).encode() + b"\n"
    )


def archive_of(*parts: bytes, hour: Hour = HOUR) -> MemoryArchive:
    archive = MemoryArchive()
    for number, lines in enumerate(parts):
        entries, _ = read_lines(lines, CLOUD_ID)
        part = part_of(entries, {})
        body = part.compressed()
        archive.put(archive_key(CLOUD_ID, hour, number), body, part.metadata(body))
    return archive


def verdict(rows: list[bytes], archive: MemoryArchive, *deaths: bytes) -> LedgerComparison:
    return compare(lambda: rows, archive, deaths)


def test_readings_that_were_served_and_archived_once_are_well() -> None:
    comparison = verdict(
        [reply(reading(1, "0.944")), reply(reading(1, "0.944"), reading(2, "-1.5"))],
        archive_of(demand(1, "0.944") + demand(2, "-1.5")),
    )
    assert (comparison.readings_served, comparison.readings_archived, comparison.objects) == (
        2,
        2,
        1,
    )
    assert (
        comparison.lost,
        comparison.duplicated,
        comparison.unreturnable,
        comparison.unexpected,
        comparison.misfiled,
    ) == (0, 0, 0, 0, 0)
    assert comparison.is_well
    assert (comparison.unreadable, comparison.examples) == ([], [])


def test_numbers_are_compared_as_numbers() -> None:
    assert (
        verdict(
            [reply(reading(1, "0.9440")), reply(reading(2, "10"))],
            archive_of(demand(1, "0.944") + demand(2, "1E+1")),
        ).lost
        == 0
    )


def test_a_reading_that_was_served_and_is_nowhere_is_lost() -> None:
    comparison = verdict([reply(reading(1, "1"), reading(2, "2"))], archive_of(demand(1, 1)))
    assert (comparison.lost, comparison.unexpected, comparison.is_well) == (1, 0, False)
    assert '"value": "2"' in comparison.examples[0]


def test_readings_of_a_user_without_any_object_are_lost() -> None:
    assert verdict([reply(reading(1, "1"))], MemoryArchive()).lost == 1


def test_a_decoders_mistake_is_lost_and_unexpected() -> None:
    comparison = verdict([reply(reading(1, "1"))], archive_of(demand(1, "1.001")))
    assert (comparison.lost, comparison.unexpected) == (1, 1)


@pytest.mark.parametrize(
    "parts", [(demand(1, 1), demand(1, 1)), (demand(1, 1) + demand(2, 1), demand(1, 1))]
)
def test_a_reading_that_two_parts_hold_is_doubled(parts: tuple[bytes, ...]) -> None:
    comparison = verdict([reply(reading(1, "1"), reading(2, "1"))], archive_of(*parts))
    assert (comparison.duplicated, comparison.is_well) == (1, False)


def test_a_message_confirmed_later_is_another_line_of_the_same_message() -> None:
    values: dict[str, Value] = {"id": "0x1", "text": "Save", "confirmed": False}
    lines = b"".join(
        encode_line(
            CLOUD_ID,
            Reading(
                DEVICE, METER, Kind.MESSAGE, HOUR.start, {**values, "confirmed": confirmed}, {}
            ),
            0,
        )
        for confirmed in (False, True)
    )
    served = {
        "device": DEVICE,
        "meter": METER,
        "kind": "message",
        "time": HOUR.start,
        "id": "0x1",
        "text": "Save",
    }
    comparison = verdict([reply(served)], archive_of(lines))
    assert (
        comparison.lost,
        comparison.duplicated,
        comparison.unexpected,
        comparison.readings_served,
    ) == (0, 0, 0, 1)


def test_a_reply_to_a_client_that_had_gone_does_not_count_as_served() -> None:
    assert (
        verdict([reply(reading(1, "1"), client_closed=True)], MemoryArchive()).readings_served == 0
    )


@pytest.mark.parametrize(
    ("died", "unreturnable"),
    [
        (1000.0, 1),
        (1000 + FSYNCED_WITHIN_S, 1),
        (1000 + FSYNCED_WITHIN_S + 0.1, 0),
        (997.0, 1),
        (900.0, 0),
    ],
)
def test_a_reading_whose_process_died_before_its_fsync_is_unreturnable(
    died: float, unreturnable: int
) -> None:
    comparison = verdict([reply(reading(1, "1"))], MemoryArchive(), death(died))
    assert (comparison.unreturnable, comparison.lost) == (unreturnable, 1 - unreturnable)


def test_the_death_of_another_process_excuses_nothing() -> None:
    assert (
        verdict(
            [reply(reading(1, "1"))],
            MemoryArchive(),
            death(1001, "eagle-logger/0.1.0 fetch-2/4711"),
        ).lost
        == 1
    )


def test_a_reading_that_a_living_process_got_too_is_lost() -> None:
    rows = [reply(reading(1, "1")), reply(reading(1, "1"), agent="eagle-logger/0.1.0 fetch-2/12")]
    assert verdict(rows, MemoryArchive(), death(1001)).lost == 1


def test_a_line_under_another_hour_is_misfiled_unless_it_says_why() -> None:
    reading = Reading(
        DEVICE, METER, Kind.DEMAND, HOUR.start, {"value": Decimal(1), "unit": "kW"}, {}
    )
    other = Hour(HOUR.start + 3600)
    assert verdict([], archive_of(encode_line(CLOUD_ID, reading, 0), hour=other)).misfiled == 1
    flagged = encode_line(CLOUD_ID, reading, 0, [Flag.FILED_BY_ARRIVAL])
    assert verdict([], archive_of(flagged, hour=other)).misfiled == 0


def test_a_damaged_object_counts_for_nothing_and_is_named() -> None:
    archive = MemoryArchive()
    archive.put(archive_key(CLOUD_ID, HOUR), b"damaged", {})
    archive.put("doctor/probe.txt", b"not ours", {})
    comparison = verdict([reply(reading(1, "1"))], archive)
    assert (comparison.lost, comparison.objects, len(comparison.unreadable)) == (1, 1, 1)


def test_a_ledger_that_ends_in_the_middle_of_a_line_is_read_up_to_there() -> None:
    assert (
        verdict(
            [reply(reading(1, "1")), reply(reading(2, "1"))[:60]], archive_of(demand(1, 1))
        ).readings_served
        == 1
    )


@pytest.mark.parametrize("row", [b"rubbish\n", b"[]\n", b"{}\n"])
def test_a_file_that_is_no_ledger_is_refused(row: bytes) -> None:
    with pytest.raises(Unreadable, match="line 1 of the ledger"):
        verdict([row], MemoryArchive())


def test_verify_prints_the_comparison_and_exits_with_1_if_readings_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EAGLE_SECRET_KEYS", "EAGLE_SECRET_KEYS_FILE"):
        monkeypatch.delenv(name, raising=False)
    source = archive_of(demand(1, 1))
    for key in source.keys():  # noqa: SIM118  (an archive is no mapping)
        DirectoryArchive(tmp_path / "archive").put(key, source.get(key), {})

    def run(*options: str) -> Any:
        return CliRunner().invoke(main, ["verify", "--data", str(tmp_path), *options])

    assert "there is no ledger.jsonl" in str(run().exception)
    (tmp_path / "ledger.jsonl").write_bytes(reply(reading(1, "1")))
    assert (run().exit_code, json.loads(run("--json").stdout)["readings_served"]) == (0, 1)
    elsewhere = run("--archive", (tmp_path / "elsewhere").as_uri(), "--json")
    assert (elsewhere.exit_code, json.loads(elsewhere.stdout)["lost"]) == (1, 1)
    (tmp_path / "deaths.jsonl").write_bytes(death(1001))
    excused = run("--archive", (tmp_path / "elsewhere").as_uri(), "--json")
    assert (excused.exit_code, json.loads(excused.stdout)["unreturnable"]) == (0, 1)


def test_readings_that_a_dry_run_saw_do_not_count_as_served() -> None:
    shown = reply(reading(1, "1"), agent="eagle-logger/0.1.0 dry-run/12")
    assert verdict([shown], MemoryArchive()).readings_served == 0
    assert verdict([shown, reply(reading(1, "1"))], MemoryArchive()).lost == 1


def test_a_reading_on_the_disk_of_a_running_system_is_not_archived_yet() -> None:
    rows, archive = (
        [reply(reading(1, "1"), reading(2, "2"), reading(3, "3"))],
        archive_of(demand(1, "1")),
    )
    on_disk = [
        (CLOUD_ID, demand(1, "1")),
        (CLOUD_ID, demand(2, "2")),
        ("00ce69", demand(3, "3")),
        (CLOUD_ID, b'{"v":1,"cl'),
    ]
    comparison = compare(lambda: rows, archive, on_disk=on_disk, now=5000.0)
    assert (
        comparison.not_archived_yet,
        comparison.lost,
        comparison.readings_archived,
        comparison.is_well,
    ) == (1, 1, 1, False)
    assert '"value": "3"' in comparison.examples[0]


@pytest.mark.parametrize(
    ("now", "lost"),
    [(1000.5, 0), (1000 + FSYNCED_WITHIN_S - 0.1, 0), (1000 + FSYNCED_WITHIN_S, 1), (None, 1)],
)
def test_a_reading_served_a_moment_ago_is_not_archived_yet(now: float | None, lost: int) -> None:
    comparison = compare(lambda: [reply(reading(1, "1"))], MemoryArchive(), now=now)
    assert (comparison.lost, comparison.not_archived_yet) == (lost, 1 - lost)


def test_a_reading_served_long_ago_and_again_just_now_is_lost() -> None:
    rows = [reply(reading(1, "1")), reply(reading(1, "1"), wall=1100.0)]
    assert compare(lambda: rows, MemoryArchive(), now=1101.0).lost == 1


def test_verify_reads_open_and_sealed_files_on_this_disk(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path / "logs")
    writer = LogWriter(folder.root, shards=16, max_open=4, min_free_disk=0)
    writer.append({(CLOUD_ID, HOUR): [demand(1, "1")]})
    writer.close()
    [shard] = folder.shards(HOUR)
    assert folder.seal(folder.open_file_of(CLOUD_ID, HOUR, shard)) is not None
    writer.append({(CLOUD_ID, HOUR): [demand(2, "2")]})
    writer.close()
    (tmp_path / "ledger.jsonl").write_bytes(reply(reading(1, "1"), reading(2, "2")))
    done = CliRunner().invoke(main, ["verify", "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert re.search(r"^lost +0$.*^not archived yet +2$", done.stdout, re.MULTILINE | re.DOTALL)


def test_a_reading_served_without_a_time_is_archived_under_any_arrival() -> None:
    served = {"device": DEVICE, "meter": METER, "kind": "price", "time": None, "price": "0.25"}
    undated = Undated(DEVICE, METER, Kind.PRICE, {"price": Decimal("0.25")}, {})
    line = encode_line(CLOUD_ID, undated.dated(HOUR.start + 7.5), HOUR.start + 7.5)
    again = encode_line(CLOUD_ID, undated.dated(HOUR.start + 907), HOUR.start + 907)
    comparison = verdict([reply(served), reply(served)], archive_of(line + again))
    assert (
        comparison.readings_served,
        comparison.lost,
        comparison.duplicated,
        comparison.unexpected,
        comparison.misfiled,
    ) == (1, 0, 0, 0, 0)
    assert verdict([reply(served)], MemoryArchive()).lost == 1
    assert verdict([reply({**served, "price": "0.26"})], archive_of(line)).unexpected == 1
    assert (
        verdict([reply(served)], archive_of(line.replace(b'"filed_by_arrival"', b""))).unexpected
        == 1
    )
