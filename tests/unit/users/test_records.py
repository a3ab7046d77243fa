from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.readings import Kind, Stream
from eagle_logger.core.users import User, UserState
from eagle_logger.users.records import (
    decode_outline,
    decode_state,
    decode_user,
    encode_state,
    encode_trouble,
    encode_user,
    forgiven,
)
from tests.support.users import lived_in_state

texts = st.text(max_size=20)
moments = st.floats(0, 4e9)
times = st.integers(-(2**40), 2**40)
states = st.builds(
    UserState,
    total_events_logged=st.integers(0),
    first_timestamp=st.none() | times,
    last_timestamp=st.none() | times,
    last_arrival=st.none() | moments,
    asked=st.dictionaries(st.sampled_from(Kind), moments),
    recent=st.dictionaries(
        st.builds(Stream, texts, texts, st.sampled_from(Kind)),
        st.lists(st.tuples(times, texts), max_size=4).map(tuple),
        max_size=4,
    ),
    recent_counts=st.lists(st.integers(0, 2**40), max_size=7).map(tuple),
    strange_hours=st.lists(times, max_size=3).map(tuple),
    failures=st.integers(0, 100),
    last_error=st.none() | texts,
    parked=st.none() | texts,
)


@given(states)
def test_a_state_comes_back_as_it_was(state: UserState) -> None:
    assert decode_state(encode_state(state), encode_trouble(state)) == state
    assert decode_state(encode_state(state)) == forgiven(state)


@given(states)
def test_an_outline_says_what_the_whole_state_says(state: UserState) -> None:
    said = state.total_events_logged, state.last_timestamp, state.recent_counts
    assert decode_outline(encode_state(state)) == said
    assert decode_outline(bytes.fromhex(FIRST_FORMAT))[0] == lived_in_state().total_events_logged


def test_a_new_user_has_nothing_written() -> None:
    assert decode_state(None, None) == UserState()
    assert decode_outline(None) == (0, None, ())
    assert encode_trouble(UserState(total_events_logged=5)) == b""


def test_a_state_stays_readable_for_later_versions() -> None:
    # Written by the first version of the format; the preset dictionary must never change under it.
    written = bytes.fromhex(FIRST_FORMAT)
    assert decode_state(written, b'[2,"timed_out",null]') == lived_in_state()._replace(failures=2, last_error="timed_out")


def test_a_format_of_the_future_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="newer version"):
        decode_state(b"\x02whatever")


def test_a_state_is_small() -> None:
    assert len(encode_state(lived_in_state())) < 400


@given(st.dictionaries(st.sampled_from(Kind), st.floats(1, 1e6)), st.none() | texts)
def test_a_user_comes_back_as_it_was(intervals: dict[Kind, float], mac_id: str | None) -> None:
    user = User("00ce69", intervals, mac_id)
    assert decode_user("00ce69", encode_user(user, "gAAAAA")) == (user, "gAAAAA")


FIRST_FORMAT = (
    "01ad954d4ec3301085f79c22078822cff87fc939aa2c4a8b0009a52ccab277e7394e52ff504b112c2259f1e4c5f3cdccf381582a6d6c4f"
    "563b666d84c0d2d86a39b0ee0fec9596d6f4def5382b1eeabd5f96026a2c9456f17b724ae055ca6c550d524996c034ef686f07124e5102"
    "73d9908337c6718676d9128363cdf2363e959cc5f1e5040839ec5000c2cb0d51926c028b062b432754bcb6b3aa942de110ae15ee5c1eee"
    "81a0a11e52bd578e8085b9158f92e4f144be192f8a7826d38a3745b62449b6e275912e292a3a35741f1a269f8c66c5d2b1c88b960e880c"
    "fdbc142f9d93ba9e7156e05f7323493323a9a5626133a9aad6b914f103a958f44caaea83596a1f98d5fa72289b092e99ef36c2d0700f8c"
    "7065060b40dbddff14c1fcdf9ff671586d37dc49734d8397e17cf9d584b98e76bf5e4ecfddd7e7719a5ecfdde5fb0adbeeae97e9e3ed1d"
    "360900c8adb8b48269467d657fd307833fea8fe30f"
)
