from __future__ import annotations

from eagle_logger.broker_queues import full_queues, resolved


def test_fetch_means_every_fetch_queue_and_rotate_this_nodes() -> None:
    assert resolved(["fetch", "rotate"], fetch_queue_count=2, node="a1") == [
        "fetch.0",
        "fetch.1",
        "rotate.a1",
    ]


def test_other_names_mean_themselves_and_each_counts_once() -> None:
    assert resolved(["fetch.1", "adhoc", "fetch"], fetch_queue_count=2, node="a1") == [
        "fetch.1",
        "adhoc",
        "fetch.0",
    ]


def test_a_queue_that_nobody_takes_from_is_full_by_itself() -> None:
    assert full_queues({"fetch.0": 2, "fetch.1": 334, "fetch.2": 333}, 1000) == {"fetch.1"}
    assert full_queues({"fetch.0": 1000}, 1000) == {"fetch.0"}
    assert full_queues({"fetch.0": 999}, 1000) == set()
