from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.up.restarts import LONGEST_PAUSE_S, WELL_AFTER_S, Restarts


def test_a_program_is_started_again_after_ever_longer_pauses_of_at_most_five_minutes() -> None:
    restarts, now, pauses = Restarts(), 1000.0, []
    for _ in range(8):
        pauses.append(restarts.gave_up("flower", now))
        assert restarts.due(now + pauses[-1] - 0.1) == []
        now += pauses[-1]
        assert restarts.due(now) == ["flower"]
        assert restarts.due(now) == [], "it is started once"
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_program_is_well_again_once_it_has_run_for_a_minute() -> None:
    restarts = Restarts()
    pause = restarts.gave_up("flower", 0.0)
    assert restarts.recovered(1000.0) == [], "it does not run yet"
    assert restarts.due(pause) == ["flower"]
    assert restarts.recovered(pause + WELL_AFTER_S - 1) == []
    assert restarts.troubled == ["flower"]
    assert restarts.recovered(pause + WELL_AFTER_S) == ["flower"]
    assert restarts.troubled == []
    assert restarts.gave_up("flower", 2000.0) == pause, "the next trouble begins anew"


@given(st.lists(st.tuples(st.sampled_from(["bridge", "sqs"]), st.floats(0, 400)), max_size=30))
def test_no_pause_is_longer_than_five_minutes_and_no_program_is_forgotten(
    failures: list[tuple[str, float]],
) -> None:
    restarts, now = Restarts(), 0.0
    for name, pause in failures:
        now += pause
        assert 0 < restarts.gave_up(name, now) <= LONGEST_PAUSE_S
    assert sorted(restarts.due(now + LONGEST_PAUSE_S)) == sorted({name for name, _ in failures})
