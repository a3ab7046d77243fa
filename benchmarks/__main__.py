"""`python -m benchmarks`: measure, print tables, keep the figures as JSON."""

from __future__ import annotations

import json
import os
import platform
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks import appending, chores, compared, dispatching, rolling_up, tables, traces
from benchmarks import overload as too_much
from benchmarks import ping as pings
from benchmarks import polling as replays
from benchmarks.figures import Row
from benchmarks.ours import ours
from benchmarks.stage import ROOT, Conditions, Failed, Relay, Stage
from eagle_logger.simulator.relay.trace import Trace, read_trace

RESULTS = ROOT / "benchmarks" / "results"
DISPATCHED, DUE_A_SECOND = (100_000, 1_000_000), 10_000
ARCHIVED_WITHIN_S = 1200.0
"""The need: an hour of as many homes as are fetched is archived within this, beside the fetching.
"""
LONG_HOMES = (1000, 10_000, 20_000, 30_000)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and for how long."""

    homes: tuple[int, ...]
    flood: int
    seconds: float
    workers: int
    in_flight: int
    registered: int
    user_hours: int
    overdue: int
    table_homes: int
    too_many: int
    max_in_flight: int | None
    profile: str | None
    traces: tuple[tuple[str, Trace], ...]
    conditions: Conditions


@dataclass(slots=True)
class Results:
    rows: list[Row] = field(default_factory=list)
    ours: list[Row] = field(default_factory=list)
    chores: list[dict[str, Any]] = field(default_factory=list)
    polling: list[list[object]] = field(default_factory=list)
    overload: too_much.OverloadResult | None = None
    failed: dict[str, str] = field(default_factory=dict)


Measurement = Callable[[Stage, Relay, Plan, Results], None]


def _ours(stage: Stage, relay: Relay, plan: Plan, results: Results) -> None:
    for homes in plan.homes:
        _keep_ours(results, ours(stage, relay, f"ours, {homes} homes", homes=homes, **_how(plan)))


def _in_step(stage: Stage, relay: Relay, plan: Plan, results: Results) -> None:
    for homes in plan.homes:
        for in_step in (False, True):
            name = f"{homes} homes, {'in step' if in_step else 'plain'}"
            row = ours(stage, relay, name, homes=homes, in_step=in_step, **_how(plan))
            _keep_ours(results, row)


def _flood(stage: Stage, relay: Relay, plan: Plan, results: Results) -> None:
    _keep_ours(
        results,
        ours(stage, relay, f"ours, flooded with {plan.flood}", homes=plan.flood, **_how(plan)),
    )


def _archiving(stage: Stage, relay: Relay, plan: Plan, results: Results) -> None:
    for homes in plan.homes:
        name = f"ours, {homes} homes, archiving their hour"
        how = {**_how(plan), "seconds": ARCHIVED_WITHIN_S, "backlog": homes}
        _keep_ours(results, ours(stage, relay, name, homes=homes, **how))


def _how(plan: Plan) -> dict[str, Any]:
    return {"seconds": plan.seconds, "workers": plan.workers, "profile": plan.profile}


def _keep_ours(results: Results, row: Row) -> None:
    results.rows.append(row)
    results.ours.append(row)


def _bare(client: str) -> Measurement:
    def measurement(stage: Stage, relay: Relay, plan: Plan, results: Results) -> None:
        results.rows.append(
            compared.bare(stage, relay, client, in_flight=plan.in_flight, seconds=plan.seconds / 2)
        )

    return measurement


def _tutorial(children: int) -> Measurement:
    def measurement(stage: Stage, relay: Relay, plan: Plan, results: Results) -> None:
        results.rows.append(
            compared.tutorial(stage, relay, children=children, seconds=plan.seconds)
        )

    return measurement


def _registered(stage: Stage, _: Relay, plan: Plan, results: Results) -> None:
    results.chores += chores.registered_users(stage, plan.registered)


def _append(stage: Stage, _: Relay, __: Plan, results: Results) -> None:
    results.chores += appending.appending(stage)


def _rotation(stage: Stage, _: Relay, plan: Plan, results: Results) -> None:
    results.chores += chores.rotation(stage, plan.user_hours)


def _dispatch(stage: Stage, _: Relay, plan: Plan, results: Results) -> None:
    for registered in DISPATCHED:
        results.chores.append(
            dispatching.dispatching(stage, registered, DUE_A_SECOND, plan.seconds)
        )


def _overdue(stage: Stage, relay: Relay, plan: Plan, results: Results) -> None:
    results.chores.append(
        dispatching.overdue(
            stage, relay, plan.overdue, seconds=2 * plan.seconds, workers=plan.workers
        )
    )


def _overload(stage: Stage, relay: Relay, plan: Plan, results: Results) -> None:
    results.overload = too_much.overload(
        stage,
        relay,
        homes=plan.too_many,
        seconds=plan.seconds,
        workers=plan.workers,
        max_in_flight=plan.max_in_flight,
    )


def _polling(_stage: Stage, _relay: Relay, plan: Plan, results: Results) -> None:
    results.polling += replays.polling(
        plan.traces or traces.typical_traces(),
        latency=plan.conditions.latency,
        spread=plan.conditions.spread,
    )


def _ping(stage: Stage, relay: Relay, plan: Plan, results: Results) -> None:
    results.chores += pings.ping(stage, relay, seconds=plan.seconds, workers=plan.workers)


def _tables(stage: Stage, relay: Relay, plan: Plan, results: Results) -> None:
    rows, chores_done = rolling_up.day_tables(
        stage,
        relay,
        plan.table_homes,
        homes=plan.homes[0],
        seconds=plan.seconds,
        workers=plan.workers,
    )
    results.chores += chores_done
    for row in rows:
        _keep_ours(results, row)


MEASUREMENTS: dict[str, Measurement] = {
    "ours": _ours,
    "in-step": _in_step,
    "archiving": _archiving,
    "flood": _flood,
    "httpx": _bare("httpx"),
    "transport": _bare("transport"),
    "aiohttp": _bare("aiohttp"),
    "client": _bare("client"),
    "tutorial-2": _tutorial(2),
    "tutorial-32": _tutorial(32),
    "2015": _bare("sequential"),
    "registered": _registered,
    "rotation": _rotation,
    "append": _append,
    "dispatch": _dispatch,
    "overdue": _overdue,
    "overload": _overload,
    "ping": _ping,
    "tables": _tables,
    "polling": _polling,
}
_WITHOUT_RELAY = frozenset({"polling"})
_NO_RELAY = Relay("", Path(), 0, 0)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(list(MEASUREMENTS)),
    help="Only this; may be given several times.",
)
@click.option(
    "--homes",
    type=click.IntRange(1),
    multiple=True,
    help="Homes served by ours, every six seconds. [default: 5000]",
)
@click.option(
    "--flood",
    type=click.IntRange(1),
    default=20_000,
    help="More homes than ours can serve.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    default=20.0,
    help="How long ours and the Celery workers are watched; bare clients half of it.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    help="Our fetching processes.",
)
@click.option(
    "--in-flight", type=click.IntRange(1), default=1000, help="Requests at once of a bare client."
)
@click.option("--latency", type=float, default=0.2, help="Seconds the relay takes.")
@click.option("--spread", type=float, default=0.05, help="Seconds, either way.")
@click.option(
    "--hanging",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Share of the homes that never answer.",
)
@click.option("--tls", is_flag=True, help="The relay speaks TLS, to ours and to the bare clients.")
@click.option("--closing", is_flag=True, help="The relay closes the connection after every reply.")
@click.option(
    "--registered",
    type=click.IntRange(1),
    default=100_000,
    help="Users imported, shown and leased.",
)
@click.option("--user-hours", type=click.IntRange(1), default=1000, help="Log files rotated.")
@click.option(
    "--overdue",
    type=click.IntRange(1),
    default=20_000,
    help="Homes that fell due while nothing ran.",
)
@click.option(
    "--table-homes",
    type=click.IntRange(1),
    default=1000,
    help="Homes of the day that `tables` rolls up.",
)
@click.option(
    "--too-many",
    type=click.IntRange(1),
    default=100_000,
    help="Homes for the overload: more than three times as many as the machine serves.",
)
@click.option(
    "--max-in-flight",
    type=click.IntRange(1),
    help="EAGLE_MAX_IN_FLIGHT in the overload, so that the relay's latency is the limit.",
)
@click.option(
    "--trace",
    "trace_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help='Traces for `polling`: a JSON line for each reading, {"made": …, "shows": …}. '
    "[default: made-up ones]",
)
@click.option(
    "--long",
    "is_long",
    is_flag=True,
    help=f"The bars: {', '.join(map(str, LONG_HOMES))} homes, ten minutes each.",
)
@click.option(
    "--profile",
    metavar="PY-SPY",
    help="Then record the first fetching worker with this py-spy: profile-<homes>.txt.",
)
def main(
    *,
    only: tuple[str, ...],
    homes: tuple[int, ...],
    seconds: float,
    is_long: bool,
    trace_files: tuple[Path, ...],
    **options: Any,
) -> None:
    """Measure our system and what it is compared to, one after the other, on the same machine and
    the same simulated relay.

    Everything runs on 127.0.0.1 and ends by itself. Compare the CPU per fetch: it hardly depends on
    what else runs.
    """
    conditions = Conditions(
        **{name: options.pop(name) for name in ("latency", "spread", "hanging", "tls", "closing")}
    )
    homes = homes or (LONG_HOMES if is_long else (5000,))
    plan = Plan(
        homes=homes,
        seconds=600.0 if is_long else seconds,
        traces=_read_traces(trace_files),
        conditions=conditions,
        **options,
    )
    chosen = {name: what for name, what in MEASUREMENTS.items() if not only or name in only}
    population = max(
        *plan.homes,
        plan.flood if "flood" in chosen else 0,
        plan.overdue if "overdue" in chosen else 0,
        plan.too_many + too_much.PINGED if "overload" in chosen else 0,
        10 * plan.in_flight,
    )
    results, began = Results(), datetime.now(UTC)
    with Stage(RESULTS / f"work-{secrets.token_hex(3)}") as stage:
        relay = _NO_RELAY
        if chosen.keys() - _WITHOUT_RELAY:
            relay = stage.relay(population, conditions)
        for name, measurement in chosen.items():
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                measurement(stage, relay, plan, results)
            except Failed as exc:
                results.failed[name] = str(exc)
                print(f"failed: {exc}", file=sys.stderr, flush=True)
    target = _write(results, began, plan, {**asdict(conditions), "homes_at_the_relay": population})
    _show(results)
    print(f"\n{target.relative_to(ROOT)}")
    sys.exit(1 if results.failed else 0)


def _read_traces(files: Sequence[Path]) -> tuple[tuple[str, Trace], ...]:
    try:
        return tuple((file.name, read_trace(file)) for file in files)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--trace") from None


def _show(results: Results) -> None:
    yardstick = results.ours[-1] if results.ours else None
    if results.rows:
        print(f"\n{tables.contenders(results.rows, yardstick)}")
    if results.ours:
        print(f"\n{tables.ours(results.ours)}")
    if results.chores:
        print(f"\n{tables.chores(results.chores)}")
    if results.polling:
        print(f"\n{tables.table(replays.HEADINGS, results.polling)}")
    if results.overload:
        rows = too_much.table_rows(results.overload.rows)
        print(f"\n{tables.table(too_much.HEADINGS, rows)}")
        print(f"\nafterwards: {json.dumps(results.overload.afterwards)}")
        print(f"falls short: {'; '.join(results.overload.falls_short) or 'nothing'}")


def _write(results: Results, began: datetime, plan: Plan, conditions: Mapping[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{began:%Y%m%dT%H%M%SZ}.json"
    report = {
        "began": began.isoformat(),
        "commit": _commit(),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "relay": dict(conditions),
        "workers": plan.workers,
        "in_flight": plan.in_flight,
        "contenders": [row.as_json() for row in results.rows],
        "chores": results.chores,
        "polling": results.polling,
        "overload": _overload_as_json(results.overload),
        "failed": results.failed,
    }
    target.write_text(json.dumps(report, indent=2) + "\n")
    return target


def _overload_as_json(result: too_much.OverloadResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    rows = [row.as_json() for row in result.rows]
    return {"loads": rows, "afterwards": result.afterwards, "falls_short": result.falls_short}


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
