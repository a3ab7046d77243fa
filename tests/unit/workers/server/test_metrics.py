from __future__ import annotations

import re
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from eagle_logger.telemetry import LATENESS_BOUNDS_MS
from eagle_logger.users.store import Totals
from workers.server.metrics import MetricsSnapshot, catalogue, exposition
from workers.server.unarchived_hours import UnarchivedHours

TOTALS = Totals(
    users=10, due=7, overdue=2, leased=2, parked=1, oldest_due=9_990.0, failing=4, refused=3
)
NOTHING_UNARCHIVED = UnarchivedHours(0, 0, None)


def values(text: bytes) -> dict[str, float]:
    """Every sample by name and labels."""
    samples = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            samples[name] = sample.value
    return samples


def snapshot(**tally: int) -> MetricsSnapshot:
    return MetricsSnapshot(
        10_000.0, TOTALS, tally, {"fetch@host": 1.5}, {"adhoc": 3, "dispatch": 0}
    )


def test_counters_of_outcomes_share_a_metric_with_a_label() -> None:
    shown = values(
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
            NOTHING_UNARCHIVED,
        )
    )
    assert shown["eagle_fetches_total"] == 5
    assert shown["eagle_failed_fetches_total{reason=timed_out}"] == 2
    assert shown["eagle_failed_fetches_total{reason=busy}"] == 1
    assert shown["eagle_sns_messages_total{outcome=queued}"] == 4
    assert shown["eagle_sqs_messages_total{outcome=queued}"] == 6
    assert shown["eagle_parts_total"] == 2
    assert shown["eagle_readings_logged_total"] == 0


def test_lateness_is_a_histogram() -> None:
    shown = values(exposition(snapshot(late_10=3, late_500=2, late_3600000=1), NOTHING_UNARCHIVED))
    assert shown["eagle_fetch_lateness_seconds_bucket{le=0.01}"] == 3
    assert shown["eagle_fetch_lateness_seconds_bucket{le=0.4}"] == 3
    assert shown["eagle_fetch_lateness_seconds_bucket{le=0.5}"] == 5
    assert shown["eagle_fetch_lateness_seconds_bucket{le=+Inf}"] == 6
    assert sum(name.startswith("eagle_fetch_lateness_seconds_bucket") for name in shown) == len(
        LATENESS_BOUNDS_MS
    )


def test_users_messages_and_hours_that_wait_are_shown() -> None:
    shown = values(exposition(snapshot(), UnarchivedHours(2, 30, 3600.0, 4, 7200.0)))
    assert shown["eagle_messages_waiting{queue=adhoc}"] == 3
    assert shown["eagle_users{state=parked}"] == 1
    assert shown["eagle_users_refused"] == 3
    assert shown["eagle_users_overdue"] == 2
    assert shown["eagle_oldest_due_age_seconds"] == 10
    assert shown["eagle_progress_age_seconds{process=fetch@host}"] == 1.5
    assert shown["eagle_unarchived_hours"] == 2
    assert shown["eagle_unarchived_files"] == 30
    assert shown["eagle_oldest_unarchived_hour_timestamp_seconds"] == 3600
    assert shown["eagle_stuck_hours"] == 4
    assert shown["eagle_oldest_unindexed_part_timestamp_seconds"] == 7200


def test_the_day_that_waits_for_its_tables_is_shown() -> None:
    name = "eagle_oldest_waiting_day_since_timestamp_seconds"
    waiting = replace(snapshot(roll_ups_failed=2), day_waiting_since=7000.0)
    shown = values(exposition(waiting, NOTHING_UNARCHIVED))
    assert (shown[name], shown["eagle_roll_ups_total{outcome=failed}"]) == (7000, 2)
    assert name not in values(exposition(snapshot(), NOTHING_UNARCHIVED))


def test_the_catalogue_has_every_metric() -> None:
    listed = {metric.name: metric for metric in catalogue()}
    shown = values(
        exposition(snapshot(failed_busy=1, sns_queued=1, late_10=1), UnarchivedHours(1, 1, 1.0))
    )
    assert {re.sub(r"_bucket|\{.*", "", name) for name in shown} <= set(listed)
    assert all(name.startswith("eagle_") for name in listed)
    assert all(metric.meaning.endswith(".") for metric in listed.values())
    assert listed["eagle_sns_messages_total"].labels == ("outcome",)


def test_metrics_show_that_redis_is_away() -> None:
    assert values(exposition(None, NOTHING_UNARCHIVED))["eagle_redis_up"] == 0


def test_a_counter_with_an_odd_name_is_left_out() -> None:
    shown = values(exposition(snapshot(**{"fetches": 1, "odd name\n{": 5}), NOTHING_UNARCHIVED))
    assert shown["eagle_fetches_total"] == 1


def test_disk_trouble_is_shown() -> None:
    troubled = MetricsSnapshot(10_000.0, TOTALS, {}, {}, {}, disk_trouble=2)
    assert values(exposition(troubled, NOTHING_UNARCHIVED))["eagle_disk_trouble_processes"] == 2
    assert values(exposition(snapshot(), NOTHING_UNARCHIVED))["eagle_disk_trouble_processes"] == 0


def test_clocks_that_are_wrong_are_shown() -> None:
    wrong = MetricsSnapshot(
        10_000.0, TOTALS, {}, {}, {}, clocks_ahead={"fetch-1": 25.0, "fetch-2": -0.25}
    )
    page = exposition(wrong, NOTHING_UNARCHIVED).decode()
    assert 'eagle_clock_ahead_seconds{process="fetch-1"} 25.0' in page
    assert 'eagle_clock_ahead_seconds{process="fetch-2"} -0.25' in page


def test_a_relay_that_is_away_is_shown() -> None:
    away = MetricsSnapshot(10_000.0, TOTALS, {}, {}, {}, relay_is_away=True)
    assert values(exposition(away, NOTHING_UNARCHIVED))["eagle_relay_breaker_open"] == 1
    assert values(exposition(snapshot(), NOTHING_UNARCHIVED))["eagle_relay_breaker_open"] == 0


def test_the_seconds_between_two_visits_are_shown_beside_those_that_there_should_be() -> None:
    too_much = replace(snapshot(), pace={"visited_every": 18.2, "instead_of": 6.0})
    shown = values(exposition(too_much, NOTHING_UNARCHIVED))
    assert shown["eagle_visited_every_seconds"] == 18.2
    assert shown["eagle_visit_interval_seconds"] == 6.0
    without_dispatcher = values(exposition(snapshot(), NOTHING_UNARCHIVED))
    assert "eagle_visited_every_seconds" not in without_dispatcher
