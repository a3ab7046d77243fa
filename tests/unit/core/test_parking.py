from __future__ import annotations

import pytest

from eagle_logger.core.kinds import Kind
from eagle_logger.core.parking import have_worked, is_refused, many_at_once, pause_after_refusals
from eagle_logger.core.users import UserState

PERIOD = 6.0


def test_a_refused_user_is_asked_again_after_5_minutes_15_minutes_and_then_hourly() -> None:
    pauses = [pause_after_refusals(refusals, PERIOD, "00ce69") for refusals in range(1, 8)]
    assert pauses[0] == 0
    assert 0 < pauses[1] <= PERIOD
    assert pauses[2:] == [300, 900, 3600, 3600, 3600]


@pytest.mark.parametrize(
    ("parkings", "users", "many"),
    [
        (1, 1, False),
        (3, 3, False),
        (3, 60, False),
        (4, 60, True),
        (4, 80, False),
        (5, 80, True),
        (1500, 30_000, False),
        (1501, 30_000, True),
    ],
)
def test_more_than_three_and_more_than_a_twentieth_are_many(
    parkings: int, users: int, *, many: bool
) -> None:
    assert many_at_once(parkings, users) is many


@pytest.mark.parametrize(
    ("state", "unproven", "worked"),
    [
        (UserState(), False, False),
        (UserState(total_events_logged=7), False, True),
        (UserState(asked={Kind.DEMAND: 1.0}), False, True),
        (UserState(total_events_logged=7, asked={Kind.DEMAND: 1.0}), True, False),
    ],
)
def test_credentials_have_worked_if_they_were_answered(
    state: UserState, *, unproven: bool, worked: bool
) -> None:
    assert have_worked(state, unproven=unproven) is worked


def test_a_state_that_cannot_be_read_may_hold_an_answer() -> None:
    assert have_worked(UserState(), unproven=False, unknown=True)
    assert not have_worked(UserState(), unproven=True, unknown=True)


@pytest.mark.parametrize(
    ("failures", "last_error", "refused"),
    [
        (3, "refused: 401", True),
        (9, "refused: 401", True),
        (2, "refused: 401", False),
        (3, "busy: 429", False),
        (0, None, False),
    ],
)
def test_three_refusals_in_a_row_are_believed(
    failures: int, last_error: str | None, *, refused: bool
) -> None:
    assert is_refused(UserState(failures=failures, last_error=last_error)) is refused
