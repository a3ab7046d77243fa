from __future__ import annotations

import pytest

from eagle_logger.cli.user_selection import UserSelection
from tests.unit.cli.outlines import NOW, outline, status_of

USERS = [
    status_of(outline("000001", last=int(NOW) - 5)),
    status_of(outline("000002", last=int(NOW) - 4000)),
    status_of(outline("000003", last=int(NOW) - 50, failures=1, error="timed_out: no answer")),
    status_of(outline("000004", last=int(NOW) - 90000, failures=9, error="timed_out: no answer")),
    status_of(outline("000005", visited=True)),
    status_of(outline("000006", parked="refused: status 401")),
    status_of(outline("000007")),
]


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        (UserSelection(), "5642371"),
        (UserSelection(limit=2), "56"),
        (UserSelection(limit=0), ""),
        (UserSelection(failing=True), "643"),
        (UserSelection(stale=3600.0), "5642"),
        (UserSelection(stale=86400.0, failing=True), "64"),
        (UserSelection(sort="id"), "1234567"),
        (UserSelection(sort="failures"), "6431257"),
    ],
)
def test_options_choose_users_and_their_order(selection: UserSelection, ids: str) -> None:
    assert "".join(user.cloud_id[-1] for user in selection.choose_from(USERS)) == ids


def test_the_count_is_of_all_selected_users_whatever_the_limit() -> None:
    assert UserSelection(failing=True, limit=1).count(USERS) == 3
    assert UserSelection(limit=1).count(USERS) == len(USERS)


def test_a_default_limit_applies_where_no_limit_was_chosen() -> None:
    assert len(UserSelection().choose_from(USERS, default_limit=3)) == 3
    assert len(UserSelection(limit=5).choose_from(USERS, default_limit=3)) == 5
