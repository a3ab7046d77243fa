import math

import pytest

from benchmarks.figures import (
    Machine,
    Row,
    Use,
    cpu_between,
    grown,
    lateness,
    per,
    share_of_others,
    threads_by_role,
    times,
    used_by_each,
)


def row(*, fetches: int = 1000, cpu: float = 2.0, seconds: float = 10.0) -> Row:
    return Row(
        name="one",
        seconds=seconds,
        fetches=fetches,
        cpu=cpu,
        relay_cpu=0.5,
        redis_cpu=0.25,
        others=0.1,
        memory={"worker": 50_000_000, "beat": 30_000_000},
        more={"missed_turns": 3},
    )


def test_a_row_tells_rate_cost_and_cores() -> None:
    one = row()
    assert one.rate == 100
    assert one.cpu_per_fetch == pytest.approx(2000)
    assert one.cores == pytest.approx(0.2)


def test_a_row_in_which_nothing_was_fetched_costs_nothing_per_fetch() -> None:
    figures = row(fetches=0).as_json()
    assert figures["cpu_us_per_fetch"] is None
    assert figures["relay_cpu_us_per_fetch"] is None
    assert figures["fetches_per_second"] == 0


def test_json_holds_the_figures_that_only_our_row_has() -> None:
    figures = row().as_json()
    assert figures["cpu_us_per_fetch"] == 2000
    assert figures["relay_cpu_us_per_fetch"] == 500
    assert figures["redis_cpu_us_per_fetch"] == 250
    assert figures["missed_turns"] == 3
    assert figures["memory_bytes"] == {"worker": 50_000_000, "beat": 30_000_000}


def test_cpu_counts_a_new_process_from_its_start_and_leaves_out_one_that_ended() -> None:
    before = Use(at=0, cpu={1: 5.0, 2: 7.0})
    after = Use(at=10, cpu={1: 6.5, 3: 0.5})
    assert cpu_between(before, after) == pytest.approx(2.0)


def test_the_share_of_others_is_the_rest_of_what_the_machine_did() -> None:
    before, after = Machine(busy=100, total=1000), Machine(busy=115, total=1020)
    assert share_of_others(before, after, accounted=5) == pytest.approx(0.5)


@pytest.mark.parametrize(("accounted", "share"), [(99.0, 0.0), (-99.0, 1.0)])
def test_the_share_of_others_stays_a_share(accounted: float, share: float) -> None:
    assert share_of_others(Machine(0, 0), Machine(10, 20), accounted) == share


def test_without_time_between_there_is_no_share_of_others() -> None:
    assert share_of_others(Machine(5, 10), Machine(5, 10), 0) == 0


def test_only_counters_that_grew_are_listed() -> None:
    before = {"fetches": 3, "late_100": 2}
    after = {"fetches": 8, "late_100": 2, "missed_turns": 1}
    assert grown(before, after) == {"fetches": 5, "missed_turns": 1}


def test_lateness_is_the_bound_of_its_counter() -> None:
    tally = {"late_100": 98, "late_500": 1, "late_2000": 1}
    assert lateness(tally) == {"late_p50": 0.1, "late_p99": 0.5, "late_max": 2.0}


def test_without_fetches_there_is_no_lateness() -> None:
    assert lateness({}) == {"late_p50": None, "late_p99": None, "late_max": None}


def test_per_is_in_microseconds() -> None:
    assert per(1.5, 1000) == pytest.approx(1500)
    assert per(1.5, 0) is None


def test_times_is_the_ratio_of_the_cpu_per_fetch() -> None:
    ratio = times(row(cpu=2.0), row(cpu=5.0))
    assert ratio is not None
    assert math.isclose(ratio, 2.5)


@pytest.mark.parametrize("ours", [None, row(fetches=0)])
def test_times_needs_two_measurements(ours: Row | None) -> None:
    assert times(ours, row()) is None


def test_each_process_has_its_own_use() -> None:
    assert used_by_each({"beat": 1, "worker": 2}, {1: 1.0}, {1: 1.5, 2: 3.0}) == {
        "beat": 0.5,
        "worker": 3.0,
    }


def test_the_cpu_of_a_worker_is_divided_by_the_roles_of_its_threads() -> None:
    before, after = {7: 1.0, 8: 2.0, 9: 0.5}, {7: 2.0, 8: 6.0, 9: 1.0, 10: 0.25}
    assert threads_by_role(7, before, after) == {"main": 1.0, "loop": 4.0, "rest": 0.75}


def test_a_worker_that_is_gone_used_nothing() -> None:
    assert threads_by_role(7, {7: 1.0}, {}) == {"main": 0.0, "loop": 0.0, "rest": 0.0}
