"""When the system stops asking for a refused user, and when it does not believe the relay's
refusals.

Credentials that never worked are most likely mistyped: after three refusals in a row the user is
parked until a person corrects them. Credentials that have worked may be refused because the relay,
or a part of it, is in trouble: their user is asked again less and less often, but never parked.
Nobody is parked while the relay refuses many users at once.

A user's credentials have worked if the relay answered a request since they were entered. The store
remembers the users whose credentials have had no answer yet; a user with an empty state never had
an answer either. (A state that is older than this rule counts as answered with the present
credentials.)
"""

from __future__ import annotations

from eagle_logger.core.schedule import pause_after_failures
from eagle_logger.core.user_state import has_been_answered
from eagle_logger.core.users import UserState

REFUSED = "refused"
"""What the last error of a refused user begins with."""

REFUSALS_BEFORE_PARKING = 3
"""Refusals in a row. The relay may refuse a user by mistake once or twice."""

ASKED_AGAIN_AFTER = (300.0, 900.0, 3600.0)
"""Seconds: the pauses after the third refusal in a row, the fourth, and every further one."""

WITHIN = 600.0
"""Seconds. Parkings within this time count together."""
FEW = 3
"""Users. So few may always be parked together."""
PART = 0.05
"""Share of all users that may be parked together. (`users/redis/scripts/report.lua` repeats these
three numbers.)"""


def many_at_once(parkings: int, users: int) -> bool:
    """Whether so many parkings within `WITHIN` show that the relay is wrong, not the users."""
    return parkings > max(FEW, PART * users)


def have_worked(state: UserState, *, unproven: bool, unknown: bool = False) -> bool:
    """Whether a user's credentials have worked. `unproven`: the relay has not answered since they
    were entered. `unknown`: a part of the state could not be read, so an answer may be recorded
    there."""
    return not unproven and (unknown or has_been_answered(state))


def pause_after_refusals(refusals: int, period: float, cloud_id: str) -> float:
    """Seconds to leave a user alone after so many refusals in a row. The first two count like any
    failure."""
    further = refusals - REFUSALS_BEFORE_PARKING
    if further < 0:
        return pause_after_failures(refusals, period, cloud_id)
    return ASKED_AGAIN_AFTER[min(further, len(ASKED_AGAIN_AFTER) - 1)]


def is_refused(state: UserState) -> bool:
    """Whether the relay has refused this user often enough in a row to be believed, parked or not."""
    return state.failures >= REFUSALS_BEFORE_PARKING and (state.last_error or "").startswith(
        REFUSED
    )
