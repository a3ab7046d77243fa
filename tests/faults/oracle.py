"""What must hold after every run, whatever the faults were. Each check yields findings as
sentences; without any, all is well."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from eagle_logger import wiring
from eagle_logger.archive.archive import Archive
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.archive.s3 import PROBE_KEY
from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.line_parser import read_lines
from eagle_logger.core.paths import parse_archive_key
from eagle_logger.core.rotation_plan import may_be_deleted
from eagle_logger.core.user_state import short_text
from eagle_logger.inspection.archive_check import audit
from eagle_logger.inspection.ledger_comparison import LedgerComparison, compare, verified
from eagle_logger.inspection.user_readings import UserReadings
from eagle_logger.rotation.rebuild_index import LEFT_TO_ROTATION_S, rebuild_index
from eagle_logger.users.store import StoredUser
from tests.faults.system_under_test import Trial
from tests.support import leaks
from tests.support.set_membership import breaches, strays
from workers.up.data_dir import KEYS
from workers.up.measured_run.deaths import DEATHS_FILE
from workers.up.simulators import BUCKET

MOST_MEMORY = 400 * 1024 * 1024
MOST_DESCRIPTORS = 300
_MAY_HOLD_SECRETS = {KEYS, "password", "redis.conf", "services.json", "users.jsonl", "aws-secret"}
"""Files that are meant to hold secrets. Only their owner can read them."""


def examine(trial: Trial) -> tuple[LedgerComparison, list[str]]:
    """The comparison of relay and archive, and all findings, for a system that has stopped in order
    and archived everything."""
    archive = wiring.archive(trial.settings)
    if trial.setup.loses_index:
        rebuild(trial, archive)
    if trial.hostile:
        verdict = _compare_homes_that_are_not_hostile(trial)
    else:
        verdict = verified(trial.settings.data_dir, archive)
    stored = {
        put["key"]: put["sha256"]
        for put in trial.stand_ins.puts()
        if put["outcome"] in {"stored", "replaced"}
    }
    spoilt = {key for key, digest in stored.items() if _digest(trial, key) != digest}
    excused = spoilt if trial.stand_ins.s3_spoils else set()
    findings = [
        *index_names_all(verdict),
        *exactly_once(verdict, deaths=trial.deaths_so_far(), homes=trial.setup.homes),
        *never_written_twice(trial),
        *(f"{key} is not what was sent" for key in spoilt - excused),
        *only_what_is_retained(trial, archive),
        *state_behind_files(trial, archive),
        *in_one_set_each(trial),
        *bounded(trial),
        *leaks.shown(_secrets(trial), leaks.files(trial.data, but=_MAY_HOLD_SECRETS)),
    ]
    return verdict, [
        one
        for one in [*verdict.unreadable, *findings]
        if not any(_name(key) in one for key in excused)
    ]


def rebuild(trial: Trial, archive: Archive) -> None:
    """Do as docs/how-to/upgrade.md and docs/reference/index.md say after log files were deleted
    before their parts were indexed."""
    far_ahead = trial.settings.clock.now() + 2 * LEFT_TO_ROTATION_S
    with TemporaryDirectory() as directory:
        rebuilt = rebuild_index(archive, Path(directory), now=far_ahead, since=Hour(0))
    assert not rebuilt.left_out


def index_names_all(verdict: LedgerComparison) -> Iterator[str]:
    """The archive's index names every object and says of each what is so."""
    yield from verdict.index_wrong
    if verdict.not_indexed:
        yield f"{verdict.not_indexed} objects are not indexed"


def _compare_homes_that_are_not_hostile(trial: Trial) -> LedgerComparison:
    everything, theirs = wiring.archive(trial.settings), MemoryArchive()
    for key in everything.keys("cloud_id="):
        named = parse_archive_key(key)
        if named is not None and named[0] not in trial.hostile:
            theirs.put(key, everything.get(key), {})
    served = [
        row
        for row in trial.plan.ledger.read_bytes().splitlines(keepends=True)
        if not _is_hostile(trial, row)
    ]
    deaths = trial.data / DEATHS_FILE
    return compare(
        lambda: served,
        theirs,
        deaths.read_bytes().splitlines(keepends=True) if deaths.exists() else [],
    )


def _is_hostile(trial: Trial, row: bytes) -> bool:
    return row.endswith(b"\n") and json.loads(row)["cloud_id"] in trial.hostile


def _digest(trial: Trial, key: str) -> str:
    return hashlib.sha256((trial.plan.s3_directory / BUCKET / key).read_bytes()).hexdigest()


def _name(key: str) -> str:
    """An object's key without the archive's prefix."""
    return key.partition("/")[2]


def exactly_once(verdict: LedgerComparison, *, deaths: int, homes: int) -> Iterator[str]:
    """The archive holds every reading once. Unreturnable readings (see `verify`) belong to a
    recorded death and are rare: on average less than one for each home and death."""
    errors = {
        "lost": verdict.lost,
        "doubled": verdict.duplicated,
        "unexpected": verdict.unexpected,
        "misfiled": verdict.misfiled,
    }
    yield from (f"{count} readings {what}" for what, count in errors.items() if count)
    if any(errors.values()):
        yield from verdict.examples
    if verdict.unreturnable > deaths * homes:
        yield f"{verdict.unreturnable} readings, too many, are unreturnable after {deaths} deaths"
    if not verdict.readings_archived:
        yield "nothing was archived: this run shows nothing"


def never_written_twice(trial: Trial) -> Iterator[str]:
    """Check S3's journal of every PUT: each key was stored once, except the probe of the store."""
    seen: set[str] = set()
    for put in (put for put in trial.stand_ins.puts() if _name(put["key"]) != PROBE_KEY):
        if put["outcome"] == "replaced" or (put["outcome"] == "stored" and put["key"] in seen):
            yield f"{put['key']} was written again"
        if put["outcome"] == "stored":
            seen.add(put["key"])


def only_what_is_retained(trial: Trial, archive: Archive) -> Iterator[str]:
    """After the last rotation every file is archived, none is past its retention, and no temporary
    file is left."""
    folder = wiring.log_folder(trial.settings)
    result = audit(folder, archive)
    yield from (str(finding) for finding in result.findings)
    if result.waiting:
        yield f"{result.waiting} log files were not archived"
    clock = trial.settings.clock
    # We add a minute to the retention. To take a minute from "now" would not do: files archived
    # since then would look as if a clock had been wrong.
    retention, now = trial.settings.local_retention + clock.stretched(60), clock.now()
    for hour in folder.hours():
        for shard in folder.shards(hour):
            for file in folder.sealed_files(hour, shard):
                if file.receipt is not None and may_be_deleted(
                    hour, file.receipt.archived_at, retention, now
                ):
                    yield f"{file.path.name} is kept longer than its retention"
    yield from (f"left over: {path}" for path in folder.root.rglob("*.new"))


def state_behind_files(trial: Trial, archive: Archive | None) -> Iterator[str]:
    """Every reading that a user's state calls logged is in a file. This may run beside the system,
    because it reads the state first."""
    for user in trial.everybody():
        for place in (None, archive):
            absent = list(_absent(user, trial, place))
            if not absent:
                break
        yield from absent


def _absent(user: StoredUser, trial: Trial, archive: Archive | None) -> Iterator[str]:
    history = UserReadings(user.user.cloud_id, wiring.log_folder(trial.settings), archive)
    for stream, several in user.state.recent.items():
        for time, values in several:
            identity = tuple(
                text.encode() for text in (iso(time), stream.device, stream.meter, stream.kind)
            )
            entries, _ = read_lines(b"\n".join(history.lines(Hour.of(time))), user.user.cloud_id)
            if not any(
                entry.identity == identity and short_text(entry.values.decode()) == values
                for entry in entries
            ):
                yield (
                    f"the state of {user.user.cloud_id} is ahead of its files: "
                    f"{stream.kind} of {iso(time)}"
                )


def in_one_set_each(trial: Trial) -> Iterator[str]:
    """Every user is either due or leased, and no strike at the system has parked a user."""
    yield from trial.run(breaches(trial.store.users))
    yield from strays(trial.direct_redis_url)
    yield from (
        f"{one.user.cloud_id} is parked: {one.state.parked}"
        for one in trial.everybody()
        if one.state.parked
    )


def bounded(trial: Trial) -> Iterator[str]:
    watch = trial.watch
    for what, most, limit in (
        ("bytes of memory", watch.memory, MOST_MEMORY),
        ("open files", watch.descriptors, MOST_DESCRIPTORS),
        ("messages", watch.waiting, trial.setup.most_waiting),
    ):
        if not most:
            yield f"the {what} were not counted"
        yield from (f"{name}: {count} {what}" for name, count in most.items() if count > limit)


def _secrets(trial: Trial) -> dict[str, str]:
    """Description → secret. None of them may be in logs, messages, samples, the archive, or Redis'
    append-only file, which holds everything that was ever written to Redis."""
    accounts = [json.loads(line) for line in trial.plan.users_file.read_text().splitlines()]
    return {
        **{f"the password of {one['cloud_id']}": one["user_pw"] for one in accounts},
        **{
            f"key {number}": key
            for number, key in enumerate(trial.data.joinpath(KEYS).read_text().split(), 1)
        },
        "the secret of S3": trial.plan.secret,
        "the password of Redis": trial.data.joinpath("redis", "password").read_text().strip(),
    }
