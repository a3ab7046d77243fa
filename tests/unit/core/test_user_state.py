from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Reading, Undated
from eagle_logger.core.user_state import (
    LONGEST_TEXT,
    MOST_STREAMS,
    STRANGE_HOURS_A_DAY,
    after_failure,
    after_logging,
    after_success,
    filing_hour,
    is_logged,
    is_unchanged,
    readings_in_the_last_hour,
    short_text,
    values_before,
)
from eagle_logger.core.users import UserState

NOW = 1_790_000_000


def demand(time: int = NOW, value: str = "0.944") -> Reading:
    return Reading(
        "0xd8d5b90000000001",
        "0x0013500100000001",
        Kind.DEMAND,
        time,
        {"value": Decimal(value), "unit": "kW"},
        {},
    )


def test_a_reading_is_logged_once_its_identity_and_value_are_remembered() -> None:
    state = after_logging(UserState(), [demand()], NOW)
    assert is_logged(state, demand())
    assert is_logged(state, demand(value="0.9440"))


def test_the_same_identity_with_another_value_is_not_logged_yet() -> None:
    assert not is_logged(after_logging(UserState(), [demand()], NOW), demand(value="0.945"))


def test_an_older_reading_is_not_dropped_because_a_newer_one_was_logged() -> None:
    assert not is_logged(after_logging(UserState(), [demand(NOW)], NOW), demand(NOW - 3600))


@given(st.lists(st.integers(NOW - 100_000, NOW + 100_000), min_size=1, max_size=40))
def test_first_and_last_timestamp_are_the_extremes_whatever_the_order(times: list[int]) -> None:
    state = UserState()
    for time in times:
        state = after_logging(state, [demand(time)], NOW)
    assert (state.first_timestamp, state.last_timestamp) == (min(times), max(times))
    assert state.total_events_logged == len(times)
    assert len(state.recent[demand().stream]) <= 4


def test_a_summation_is_compared_with_the_one_before_it_in_time_not_in_order_of_arrival() -> None:
    def summation(time: int, delivered: str) -> Reading:
        return Reading(
            "0xd8",
            "0x00",
            Kind.SUMMATION,
            time,
            {"delivered": Decimal(delivered), "unit": "kWh"},
            {},
        )

    state = after_logging(UserState(), [summation(NOW, "100.5")], NOW)
    assert values_before(state, summation(NOW + 240, "100.7"))["delivered"] == Decimal("100.5")
    assert values_before(state, summation(NOW - 240, "100.2")) == {}


def test_a_reading_is_filed_under_its_own_hour() -> None:
    late = demand(NOW - 5 * SECONDS_PER_HOUR)
    assert filing_hour(UserState(), late, NOW)[0] == Hour.of(NOW - 5 * SECONDS_PER_HOUR)


def test_readings_spread_over_too_many_hours_are_filed_by_arrival_until_the_next_day() -> None:
    state = UserState()
    for hours_ago in range(1, STRANGE_HOURS_A_DAY + 1):
        hour, state = filing_hour(state, demand(NOW - hours_ago * SECONDS_PER_HOUR), NOW)
        assert hour == Hour.of(NOW - hours_ago * SECONDS_PER_HOUR)
    assert filing_hour(state, demand(NOW - 1000 * SECONDS_PER_HOUR), NOW)[0] == Hour.of(NOW)
    assert filing_hour(state, demand(NOW - SECONDS_PER_HOUR), NOW)[0] == Hour.of(
        NOW - SECONDS_PER_HOUR
    ), "an hour that has a file keeps it"
    tomorrow = NOW + 86400
    assert filing_hour(state, demand(NOW - 1000 * SECONDS_PER_HOUR), tomorrow)[0] == Hour.of(
        NOW - 1000 * SECONDS_PER_HOUR
    )


def test_failures_count_up_and_one_success_clears_them() -> None:
    state = after_failure(after_failure(UserState(), "timed_out"), "timed_out")
    assert (state.failures, state.last_error, state.parked) == (2, "timed_out", None)
    assert after_success(state) == state._replace(failures=0, last_error=None)


def test_a_parked_user_keeps_the_reason() -> None:
    assert (
        after_failure(UserState(), "refused: bad password", park=True).parked
        == "refused: bad password"
    )


@given(st.lists(st.integers(0, 7200), min_size=1, max_size=60).map(sorted))
def test_the_readings_of_the_last_hour_are_counted_to_ten_minutes(offsets: list[int]) -> None:
    state = UserState()
    for offset in offsets:
        state = after_logging(state, [demand(NOW + offset)], NOW + offset)
    now = NOW + offsets[-1]
    counted = readings_in_the_last_hour(state.recent_counts, now)
    assert sum(offset > offsets[-1] - 3000 for offset in offsets) <= counted
    assert counted <= sum(offset > offsets[-1] - 3600 for offset in offsets)


def test_a_reading_counts_for_the_last_hour_no_longer_than_that() -> None:
    state = after_logging(UserState(), [demand()], NOW)
    assert readings_in_the_last_hour(state.recent_counts, NOW + 3700) == 0


def message(text: str, *, meter: str = "0x0013500100000001", time: int = NOW) -> Reading:
    return Reading("0xd8d5b90000000001", meter, Kind.MESSAGE, time, {"id": "0x1", "text": text}, {})


def test_the_streams_that_were_logged_last_are_remembered() -> None:
    state = after_logging(
        UserState(), [message("kept", meter="0x1"), message("gone", meter="0x2")], NOW
    )
    state = after_logging(state, [message("again", meter="0x1")], NOW)
    state = after_logging(
        state, [message("new", meter=f"{number:#x}") for number in range(3, MOST_STREAMS + 2)], NOW
    )
    assert len(state.recent) == MOST_STREAMS
    assert is_logged(state, message("again", meter="0x1"))
    assert not is_logged(state, message("gone", meter="0x2"))


@given(st.text(min_size=100, max_size=300), st.text(min_size=100, max_size=300))
def test_a_long_text_is_remembered_by_its_digest(text: str, other: str) -> None:
    state = after_logging(UserState(), [message(text)], NOW)
    assert is_logged(state, message(text))
    assert is_logged(state, message(other)) == (text == other)
    (((_, remembered),),) = state.recent.values()
    assert len(remembered) <= LONGEST_TEXT
    assert short_text(remembered) == remembered


def test_the_values_before_are_empty_if_only_their_digest_is_remembered() -> None:
    long = Reading(
        "", "", Kind.SUMMATION, NOW, {"delivered": Decimal("1" * 200), "unit": "kWh"}, {}
    )
    state = after_logging(UserState(), [long], NOW)
    assert values_before(state, long._replace(time=NOW + 1)) == {}


def undated(text: str) -> Undated:
    return Undated("0xd8d5b90000000001", "0x0013500100000001", Kind.MESSAGE, {"text": text}, {})


def after_reply(state: UserState, arrived: float, *texts: str) -> tuple[UserState, list[str]]:
    """The state after a reply that holds these messages without a time, and those that were new."""
    new = []
    for text in texts:
        if not is_unchanged(state, undated(text)):
            state = after_logging(state, [undated(text).dated(arrived)], arrived)
            new.append(text)
    return state, new


def test_two_messages_without_a_time_in_one_reply_are_logged_once() -> None:
    state, new = after_reply(UserState(), 1000.0, "save", "energy")
    assert new == ["save", "energy"]
    state, new = after_reply(state, 1900.0, "save", "energy")
    assert new == []


def test_a_message_without_a_time_that_comes_back_is_logged_again() -> None:
    state, _ = after_reply(UserState(), 1000.0, "save")
    state, _ = after_reply(state, 1900.0, "energy")
    assert after_reply(state, 2800.0, "save")[1] == ["save"]
    assert after_reply(state, 2800.0, "energy")[1] == []
