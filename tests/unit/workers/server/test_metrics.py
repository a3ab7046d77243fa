from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from eagle_logger.telemetry import LATENESS_BOUNDS_MS
from eagle_logger.users.store import Totals
from workers.server.context import Unarchived
from workers.server.metrics import MetricsSnapshot, catalogue, exposition

TOTALS = Totals(
    users=10, due=7, overdue=2, leased=2, parked=1, oldest_due=9_990.0, failing=4, refused=3
)
NOTHING = Unarchived(0, 0, None)


def values(text: bytes) -> dict[str, float]:
    """Every sample by name and labels."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def snapshot(**tally: int) -> MetricsSnapshot:
    return MetricsSnapshot(
        10_000.0, TOTALS, tally, {"fetch@host": 1.5}, {"adhoc": 3, "dispatch": 0}
    )


def test_counters_by_outcome() -> None:
    found = values(
        exposition(
            snapshot(
                fetches=5,
                failed_fetches=3,
                failed_timed_out=2,
                failed_busy=1,
                sns_queued=4,
                sqs_queued=6,
                parts=2,
            ),
            NOTHING,
        )
    )
    assert found["eagle_fetches_total"] == 5
    assert found["eagle_failed_fetches_total{reason=timed_out}"] == 2
    assert found["eagle_failed_fetches_total{reason=busy}"] == 1
    assert found["eagle_sns_messages_total{outcome=queued}"] == 4
    assert found["eagle_sqs_messages_total{outcome=queued}"] == 6
    assert found["eagle_parts_total"] == 2
    assert found["eagle_readings_logged_total"] == 0


def test_lateness_is_a_histogram() -> None:
    found = values(exposition(snapshot(late_10=3, late_500=2, late_3600000=1), NOTHING))
    assert found["eagle_fetch_lateness_seconds_bucket{le=0.01}"] == 3
    assert found["eagle_fetch_lateness_seconds_bucket{le=0.4}"] == 3
    assert found["eagle_fetch_lateness_seconds_bucket{le=0.5}"] == 5
    assert found["eagle_fetch_lateness_seconds_bucket{le=+Inf}"] == 6
    assert sum(name.startswith("eagle_fetch_lateness_seconds_bucket") for name in found) == len(
        LATENESS_BOUNDS_MS
    )


def test_what_waits() -> None:
    found = values(exposition(snapshot(), Unarchived(2, 30, 3600.0, stuck=4)))
    assert found["eagle_messages_waiting{queue=adhoc}"] == 3
    assert found["eagle_users{state=parked}"] == 1
    assert found["eagle_users_refused"] == 3
    assert found["eagle_users_overdue"] == 2
    assert found["eagle_oldest_due_age_seconds"] == 10
    assert found["eagle_progress_age_seconds{process=fetch@host}"] == 1.5
    assert found["eagle_unarchived_hours"] == 2
    assert found["eagle_unarchived_files"] == 30
    assert found["eagle_oldest_unarchived_hour_timestamp_seconds"] == 3600
    assert found["eagle_stuck_hours"] == 4


def test_the_catalogue_has_every_metric() -> None:
    listed = {one.name for one in catalogue()}
    told = values(
        exposition(snapshot(failed_busy=1, sns_queued=1, late_10=1), Unarchived(1, 1, 1.0))
    )
    assert {re.sub(r"_bucket|\{.*", "", name) for name in told} <= listed
    assert all(one.name.startswith("eagle_") and one.meaning.endswith(".") for one in catalogue())
    assert {one.name: one.labels for one in catalogue()}["eagle_sns_messages_total"] == ("outcome",)


def test_redis_away_is_worth_a_scrape() -> None:
    assert values(exposition(None, NOTHING))["eagle_redis_up"] == 0


def test_a_counter_nobody_foresaw_harms_nothing() -> None:
    found = values(exposition(snapshot(**{"fetches": 1, "odd name\n{": 5}), NOTHING))
    assert found["eagle_fetches_total"] == 1


def test_disk_trouble_is_told() -> None:
    troubled = MetricsSnapshot(10_000.0, TOTALS, {}, {}, {}, disk_trouble=2)
    assert values(exposition(troubled, NOTHING))["eagle_disk_trouble_processes"] == 2
    assert values(exposition(snapshot(), NOTHING))["eagle_disk_trouble_processes"] == 0


def test_clocks_that_are_wrong_are_shown() -> None:
    wrong = MetricsSnapshot(
        10_000.0, TOTALS, {}, {}, {}, clocks_ahead={"fetch-1": 25.0, "fetch-2": -0.25}
    )
    page = exposition(wrong, NOTHING).decode()
    assert 'eagle_clock_ahead_seconds{process="fetch-1"} 25.0' in page
    assert 'eagle_clock_ahead_seconds{process="fetch-2"} -0.25' in page


def test_a_relay_that_is_away_is_told() -> None:
    away = MetricsSnapshot(10_000.0, TOTALS, {}, {}, {}, relay_is_away=True)
    assert values(exposition(away, NOTHING))["eagle_relay_breaker_open"] == 1
    assert values(exposition(snapshot(), NOTHING))["eagle_relay_breaker_open"] == 0
