"""The queues that a worker's `-Q` stands for, and which of them are full."""

from __future__ import annotations

from eagle_logger.broker_queues import full_queues, resolved


def test_fetch_stands_for_every_fetch_queue_and_rotate_for_this_nodes_queue() -> None:
    assert resolved(["fetch", "rotate"], fetch_queue_count=2, node="a1") == [
        "fetch.0",
        "fetch.1",
        "rotate.a1",
    ]


def test_other_names_stand_for_themselves_and_each_queue_comes_once() -> None:
    assert resolved(["fetch.1", "adhoc", "fetch"], fetch_queue_count=2, node="a1") == [
        "fetch.1",
        "adhoc",
        "fetch.0",
    ]


def test_a_queue_is_full_once_its_share_of_the_messages_waits_in_it() -> None:
    assert full_queues({"fetch.0": 2, "fetch.1": 334, "fetch.2": 333}, 1000) == {"fetch.1"}
    assert full_queues({"fetch.0": 1000}, 1000) == {"fetch.0"}
    assert full_queues({"fetch.0": 999}, 1000) == set()
