from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import value_text
from eagle_logger.core.readings import Reading, Stream
from eagle_logger.core.rhythm import NO_RHYTHM, Rhythm
from eagle_logger.core.user_state import (
    after_asking,
    after_failure,
    after_logging,
    filing_hour,
    is_logged,
)
from eagle_logger.core.users import User, UserState
from eagle_logger.users.redis.encoding import (
    _COMMON,
    decode_state,
    decode_user,
    encode_state,
    encode_trouble,
    encode_user,
    read_state,
    recent_unreadable,
    with_password,
)
from eagle_logger.users.redis.rhythm_encoding import rhythm_as_list, rhythm_from
from tests.support.users import lived_in_state

texts = st.text(max_size=20)
hundredths = st.integers(0, 10_000).map(lambda number: number / 100)
estimates = st.integers(1, 1_000_000).map(lambda number: number / 10_000)
rhythms = st.just(NO_RHYTHM) | st.builds(
    Rhythm,
    seen=st.just(1_800_000_000),
    asked=st.integers(0, 10**12).map(lambda number: number / 100),
    gaps=st.lists(st.integers(1, 900), max_size=8).map(tuple),
    period=estimates,
    beat=st.just(1_800_000_000.25),
    delay=estimates,
    spread=estimates,
    drift=st.integers(-20_000, 20_000).map(lambda number: number / 1_000_000),
    delays=st.integers(0, 80),
    fits=st.integers(0, 2),
    run=st.integers(-99, 99),
    asks=st.integers(0, 99),
    credit=hundredths,
    requests_per_reading=hundredths,
    age=hundredths,
)
moments = st.floats(0, 4e9)
times = st.integers(-(2**35), 2**37)
states = st.builds(
    UserState,
    total_events_logged=st.integers(0, 2**63),
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
    rhythm=rhythms,
    later=st.just(()) | st.just((17, "a newer version's")),
    failures=st.integers(0, 100),
    last_error=st.none() | texts,
    parked=st.none() | texts,
)


@pytest.mark.parametrize("in_step", [None, True, False])
def test_a_user_comes_back_with_its_own_choice_of_turns(in_step: bool | None) -> None:
    user = User("00ce69", in_step=in_step)
    assert decode_user("00ce69", encode_user(user, "gAAAAA")) == (user, "gAAAAA")


def test_a_rhythm_in_another_format_is_kept_and_not_read() -> None:
    later = ["rhythm-3", "of a newer version"]
    state = UserState(rhythm=Rhythm(seen=7, asked=8.0), later=(later,))
    assert decode_state(encode_state(state)) == state


def test_what_one_reading_teaches_is_not_rounded_away() -> None:
    """Hundredths of a second would let misses widen the spread, and no hit narrow it."""
    rhythm = Rhythm(seen=7, period=8.0, beat=7.0, delay=3.6, spread=1.2, delays=80)
    narrower = rhythm._replace(spread=1.1971, delay=3.5966, drift=-0.000123)
    assert rhythm_from(rhythm_as_list(narrower)) == narrower


def test_a_rhythm_in_the_format_before_is_read() -> None:
    written = ["rhythm-1", 1000, 100550, [8, 8], 800, 25, 360, 60, 80, 2, -3, 1, 150, 118, 210]
    assert rhythm_from(written) == Rhythm(
        seen=1000,
        asked=1005.5,
        gaps=(8, 8),
        period=8.0,
        beat=1000.25,
        delay=3.6,
        spread=0.6,
        delays=80,
        fits=2,
        run=-3,
        asks=1,
        credit=1.5,
        requests_per_reading=1.18,
        age=2.1,
    )


@pytest.mark.parametrize("damage", ["x", None, 1.5, [1], 10**9])
def test_a_damaged_rhythm_makes_a_state_unreadable_and_stops_nothing(damage: object) -> None:
    written = rhythm_as_list(Rhythm(seen=7, asked=8.0, delays=3, spread=1.0))
    damaged = [*written[:4], damage, *written[5:]]
    with pytest.raises((ValueError, TypeError)):
        rhythm_from(damaged)


@given(states)
def test_a_state_comes_back_as_it_was(state: UserState) -> None:
    assert decode_state(encode_state(state), encode_trouble(state)) == state
    assert decode_state(encode_state(state)) == state.forgiven()


def test_a_new_user_has_nothing_written() -> None:
    assert decode_state(None, None) == UserState()
    assert encode_trouble(UserState(total_events_logged=5)) == b""


def test_a_state_stays_readable_for_later_versions() -> None:
    # Written by the first version of the format; the preset dictionary must never change under it.
    written = bytes.fromhex(FIRST_FORMAT)
    assert decode_state(written, b'[2,"timed_out",null]') == lived_in_state()._replace(
        failures=2, last_error="timed_out"
    )


def test_a_state_in_a_newer_format_is_an_error() -> None:
    with pytest.raises(ValueError, match="newer version"):
        decode_state(b"\x02whatever")


def test_a_state_is_small() -> None:
    assert len(encode_state(lived_in_state())) < 400


@given(st.dictionaries(st.sampled_from(Kind), st.floats(1, 1e6)), st.none() | texts)
def test_a_user_comes_back_as_it_was(intervals: dict[Kind, float], mac_id: str | None) -> None:
    user = User("00ce69", intervals, mac_id)
    assert decode_user("00ce69", encode_user(user, "gAAAAA")) == (user, "gAAAAA")


@given(states, st.data())
def test_a_damaged_state_raises_nothing_and_can_be_written_again(
    state: UserState, data: st.DataObject
) -> None:
    written = encode_state(state)
    at = data.draw(st.integers(0, len(written) - 1))
    damaged = (
        written[:at]
        + data.draw(st.binary(max_size=3))
        + written[at + data.draw(st.integers(0, 4)) :]
    )
    trouble = data.draw(st.binary(max_size=12))
    found, why = read_state(damaged, trouble)
    assert why is None or "cannot be read" in why
    recent_unreadable(found)
    assert read_state(encode_state(found), encode_trouble(found))[1] is None


@pytest.mark.parametrize(
    "facts",
    [
        [],
        [1],
        ["1", 2, 3, 4, [], [], {}],
        [1, None, None, None, [], [], {"demand": "x"}],
        {"a": 1},
        None,
    ],
)
def test_facts_that_no_version_wrote_count_as_empty(facts: object) -> None:
    found, why = read_state(_packed(json.dumps(facts).encode() + b"\n[]"), b'[3,"timed_out",null]')
    assert found == UserState(failures=3, last_error="timed_out")
    assert why is not None


def test_unreadable_recent_readings_leave_the_rest_of_a_state() -> None:
    found, why = read_state(
        _packed(b'[5,null,9,null,[],[],{}]\n[["0x1","0x2","demand",["x","y"]]]')
    )
    assert why is None
    assert recent_unreadable(found)
    assert found == UserState(total_events_logged=5, last_timestamp=9)


def test_members_of_a_newer_version_are_kept() -> None:
    written = b'[5,1,9,9.5,[],[],{"gas":7},{"new":1},2]\n[["0x1","0x2","gas",[8,"\\"value\\":1"]]]'
    state = decode_state(_packed(written))
    demand = Reading("0x1", "0x3", Kind.DEMAND, 10, {"value": 1}, {})
    later = decode_state(
        encode_state(after_asking(after_logging(state, [demand], 10.0), [Kind.DEMAND], 10.0))
    )
    assert later.later == ({"new": 1}, 2)
    assert later.asked == {"gas": 7, Kind.DEMAND: 10.0}
    assert {stream.kind for stream in later.recent} == {"gas", Kind.DEMAND}


def test_a_long_text_of_an_earlier_version_is_shortened_to_its_digest() -> None:
    reading = Reading("0x1", "0x2", Kind.MESSAGE, 10, {"id": "0x1", "text": "Save. " * 100}, {})
    text = value_text(reading.values)
    state = decode_state(encode_state(UserState(recent={reading.stream: ((10, text),)})))
    assert is_logged(state, reading)
    assert not is_logged(state, reading._replace(values={"id": "0x1", "text": "Save. " * 101}))


_macs = st.integers(0, 2**64 - 1).map("0x{:016x}".format) | st.just("")
_values = st.dictionaries(
    st.sampled_from(["id", "text", "label", "value"]), st.text(max_size=300), max_size=4
)
_readings = st.builds(
    Reading,
    _macs,
    _macs,
    st.sampled_from(Kind),
    st.integers(946_684_800, 5_241_652_095),
    _values,
    st.just({}),
)
_MOST_BYTES = 16_384


@given(st.lists(st.lists(_readings, max_size=50), max_size=8), st.text(max_size=10_000))
def test_a_state_stays_small_whatever_replies_come(
    replies: list[list[Reading]], error: str
) -> None:
    state, now = UserState(), 1_790_000_000.25
    for reply in replies:
        for reading in reply:
            _, state = filing_hour(state, reading, now)
            state = after_logging(state, [reading], now)
        state = after_failure(after_asking(state, Kind, now), error[:200])
        state, now = decode_state(encode_state(state), encode_trouble(state)), now + 700
        assert len(encode_state(state)) < _MOST_BYTES


def test_the_largest_state_is_small() -> None:
    """The worst case: as many streams as are remembered, each text as long as can be
    and like no other."""
    letters = iter(range(0x10000, 0x10FFFF))
    streams = [Stream(f"0x{7 * n:016x}", f"0x{n:016x}", Kind.DEMAND) for n in range(16)]
    recent = {
        stream: tuple((n, "".join(chr(next(letters)) for _ in range(128))) for n in range(4))
        for stream in streams
    }
    state = UserState(
        2**60, 1, 2, 3.25, dict.fromkeys(Kind, 1.5), recent, (1,) * 7, tuple(range(49))
    )
    assert len(encode_state(state)) < _MOST_BYTES


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"sealed":7}',
        b'{"sealed":"x","intervals":{"demand":"x"}}',
        b"\xff",
    ],
)
def test_a_record_that_no_version_wrote_is_refused(record: bytes) -> None:
    with pytest.raises(ValueError, match="the record cannot be read"):
        decode_user("00ce69", record)


def test_a_record_of_a_newer_version_keeps_its_members_when_its_password_changes() -> None:
    record = b'{"sealed":"old","intervals":{"gas":60,"demand":8},"source":"push"}'
    user, sealed = decode_user("00ce69", record)
    assert (user.intervals, sealed) == ({"gas": 60.0, Kind.DEMAND: 8.0}, "old")
    assert json.loads(with_password(record, "new")) == {**json.loads(record), "sealed": "new"}


def _packed(text: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -11, 5, zlib.Z_DEFAULT_STRATEGY, _COMMON)
    return b"\x01" + packer.compress(text) + packer.flush()


FIRST_FORMAT = (
    "01ad954d4ec3301085f79c22078822cff87fc939aa2c4a8b0009a52ccab277e7394e52ff504b112c2259f1e4c5f3cdccf381582a6d6c4f"
    "563b666d84c0d2d86a39b0ee0fec9596d6f4def5382b1eeabd5f96026a2c9456f17b724ae055ca6c550d524996c034ef686f07124e5102"
    "73d9908337c6718676d9128363cdf2363e959cc5f1e5040839ec5000c2cb0d51926c028b062b432754bcb6b3aa942de110ae15ee5c1eee"
    "81a0a11e52bd578e8085b9158f92e4f144be192f8a7826d38a3745b62449b6e275912e292a3a35741f1a269f8c66c5d2b1c88b960e880c"
    "fdbc142f9d93ba9e7156e05f7323493323a9a5626133a9aad6b914f103a958f44caaea83596a1f98d5fa72289b092e99ef36c2d0700f8c"
    "7065060b40dbddff14c1fcdf9ff671586d37dc49734d8397e17cf9d584b98e76bf5e4ecfddd7e7719a5ecfdde5fb0adbeeae97e9e3ed1d"
    "360900c8adb8b48269467d657fd307833fea8fe30f"
)
