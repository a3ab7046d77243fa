from __future__ import annotations

from eagle_logger.queues import resolved


def test_fetch_means_every_fetch_queue_and_rotate_this_nodes() -> None:
    assert resolved(["fetch", "rotate"], fetch_queue_count=2, node="a1") == ["fetch.0", "fetch.1", "rotate.a1"]


def test_other_names_mean_themselves_and_each_counts_once() -> None:
    assert resolved(["fetch.1", "adhoc", "fetch"], fetch_queue_count=2, node="a1") == ["fetch.1", "adhoc", "fetch.0"]
