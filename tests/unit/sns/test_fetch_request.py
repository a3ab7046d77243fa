from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.sns.fetch_request import MAX_CLOUD_IDS, FetchRequest, cloud_ids_in, message_for
from eagle_logger.sns.refusals import MessageRefused, Reason

CLOUD_IDS = st.text("0123456789abcdef", min_size=6, max_size=6)


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("002738", FetchRequest(("002738",))),
        (" 00CE69\n", FetchRequest(("00ce69",))),
        ("00:CE:69", FetchRequest(("00ce69",))),
        ('{"cloud_ids": ["0x002738", "00-CE-69"]}', FetchRequest(("002738", "00ce69"))),
        ("123456", FetchRequest(("123456",))),
        ('"002738"', FetchRequest(("002738",))),
        ('{"cloud_id": "002738"}', FetchRequest(("002738",))),
        ('{"cloud_ids": ["002738", "00CE69", "002738"]}', FetchRequest(("002738", "00ce69"))),
        (
            '{"cloud_ids": ["002738"], "cloud_id": "00ce69", "why": "test"}',
            FetchRequest(("002738", "00ce69")),
        ),
        (
            '{"cloud_ids": ["002738", "nobody", 2738, null, ["00ce69"]]}',
            FetchRequest(("002738",), not_ids=4),
        ),
    ],
)
def test_the_users_that_a_message_names(message: str, asked: FetchRequest) -> None:
    assert cloud_ids_in(message) == asked


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", Reason.NO_CLOUD_ID),
        ("hello", Reason.NO_CLOUD_ID),
        ("{}", Reason.NO_CLOUD_ID),
        ("[]", Reason.NO_CLOUD_ID),
        ("2738", Reason.NO_CLOUD_ID),
        ('{"cloud_ids": []}', Reason.NO_CLOUD_ID),
        ('{"cloud_ids": "002738"}', Reason.NO_CLOUD_ID),
        ('{"cloud_id": 123456}', Reason.NO_CLOUD_ID),
        ('{"cloud_id": "nobody"}', Reason.NO_CLOUD_ID),
        (json.dumps({"cloud_ids": ["00ce69"] * (MAX_CLOUD_IDS + 1)}), Reason.TOO_MANY_CLOUD_IDS),
        ('{"cloud_id": ' * 1000, Reason.TOO_COMPLEX),
    ],
)
def test_a_message_that_names_no_user_is_refused(message: str, reason: Reason) -> None:
    with pytest.raises(MessageRefused) as refused:
        cloud_ids_in(message)
    assert refused.value.reason is reason


@given(st.lists(CLOUD_IDS, min_size=1, max_size=MAX_CLOUD_IDS, unique=True))
def test_a_published_request_is_understood(named: list[str]) -> None:
    assert cloud_ids_in(message_for(named)) == FetchRequest(tuple(named))


@given(st.text(max_size=200))
def test_any_text_is_understood_or_refused_with_status_400(message: str) -> None:
    try:
        request = cloud_ids_in(message)
    except MessageRefused as exc:
        assert exc.reason.status == 400  # noqa: PT017  (either outcome is right)
    else:
        assert request.cloud_ids
