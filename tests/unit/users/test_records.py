from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.readings import Kind, Stream
from eagle_logger.core.users import User, UserState
from eagle_logger.users.records import (
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


def test_a_new_user_has_nothing_written() -> None:
    assert decode_state(None, None) == UserState()
    assert encode_trouble(UserState(total_events_logged=5)) == b""


def test_a_state_stays_readable_for_later_versions() -> None:
    # Written by the first version of the format; the preset dictionary must never change under it.
    written = bytes.fromhex(FIRST_FORMAT)
    assert decode_state(written, b'[2,"timed_out",null]') == replace(lived_in_state(), failures=2, last_error="timed_out")


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
    "01ad954d6e84300c85afc201108a9dff65cf316231fd515ba962ba982e7bf7be106062d28984da055244cc23fe6cbf9c88b5b1cef7e46d"
    "60b64e292c9daf9603dbfec4d158ed5d1f438fb3e2a13ec665a9a0c6ca5893bfa760145e95cc56d5245564094cf38e8d7e20150c153097"
    "0d3d44e7020bb4cb961a025bd6df1566757e7c0203c93af127bcdc0815b916ac68f03a3542856b3baa29d112ce105ae121c8f008020df5"
    "94e9ad70042accad785444c613c566bcdac533b956bcdb654b9a742bdeeed22543bb464dcd877e9183d1ac583915b268e57ce8d4ce4bf1"
    "ca31a9eb994705f635f7917633925a2a17564855b59652c477a472d18554d507b3d43130abf349289b072e991ff6c1d470777c70650607"
    "40dbddfe94c1fcdf9f8e71585d375d49734d9395e17cf266c25c67b75fefa687eef3e33c4d2fcfdde5eb0ad7eeae97e9fdf50d2e0900c8"
    "6d776725cfccfac6ffa60f067fd41fc7f107"
)
