"""Whether a refused user is asked again, and whether the relay's refusals are believed.

Credentials that never worked are probably mistyped: after three refusals in a row the user is
parked until a person corrects them. Credentials that have worked may be refused because the relay,
or a part of it, is in trouble: the user is asked again ever less often, and never parked. No user
is parked while the relay refuses many users at once.

Credentials have worked if the relay answered a request since they were entered. The store keeps a
set of the users whose credentials have had no answer yet (`unproven`). A user whose state is empty
has had no answer either. Users that were added before there was such a set are not in it, so their
credentials count as answered if their state shows any answer.
"""

from __future__ import annotations

from eagle_logger.core.schedule import pause_after_failures
from eagle_logger.core.user_state import has_been_answered
from eagle_logger.core.users import UserState

REFUSED = "refused"
"""The first word of a refused user's last error."""

REFUSALS_BEFORE_PARKING = 3
"""Refusals in a row. The relay may refuse a user by mistake once or twice."""

PAUSES_AFTER_REFUSALS_S = (300.0, 900.0, 3600.0)
"""The pauses after the third refusal in a row, the fourth, and every further one."""

PARKINGS_COUNTED_WITHIN_S = 600.0
"""Parkings within this time count together."""
FEW_PARKINGS = 3
"""Users. So few may always be parked together."""
SHARE_OF_USERS = 0.05
"""The share of all users that may be parked together. `users/redis/scripts/report.lua` has the same
three numbers."""


def many_at_once(parkings: int, users: int) -> bool:
    """Whether so many parkings within `PARKINGS_COUNTED_WITHIN_S` are the relay's fault."""
    return parkings > max(FEW_PARKINGS, SHARE_OF_USERS * users)


def have_worked(state: UserState, *, unproven: bool, unknown: bool = False) -> bool:
    """Whether a user's credentials have worked. `unproven`: the relay has not answered since they
    were entered. `unknown`: a part of the state cannot be read, and counts as holding an answer."""
    return not unproven and (unknown or has_been_answered(state))


def pause_after_refusals(refusals: int, period: float, cloud_id: str) -> float:
    """Seconds to leave a user alone after so many refusals in a row. The first two are treated as
    any failure."""
    further = refusals - REFUSALS_BEFORE_PARKING
    if further < 0:
        return pause_after_failures(refusals, period, cloud_id)
    return PAUSES_AFTER_REFUSALS_S[min(further, len(PAUSES_AFTER_REFUSALS_S) - 1)]


def is_refused(state: UserState) -> bool:
    """Whether the relay has refused this user three times in a row, parked or not."""
    return state.failures >= REFUSALS_BEFORE_PARKING and (state.last_error or "").startswith(
        REFUSED
    )
