"""Feeds damaged replies to the decoder: `python -m tests.fuzz.decoder --minutes 10`.

These must hold for any bytes:

- The decoder raises nothing, and takes no reply long.
- Each reading stood whole in the bytes, has the values of its fields, and comes back from its log
  line.
- A notification that stands whole before or behind the damage is still read.
- No beginning of a reply gives a reading that the whole reply does not give.
- No problem and no error shows a secret.

It exits with 1 at the first finding, and prints the bytes.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from eagle_logger.core.line_format import encode_line, parse_line, value_text
from eagle_logger.errors import EagleError
from eagle_logger.rainforest.decoding import root_elements, xml_replies
from eagle_logger.rainforest.decoding.decode import decode, text_of
from eagle_logger.rainforest.decoding.reply import interpret
from eagle_logger.rainforest.decoding.scan_result import MOST_NOTIFICATIONS
from tests.support import replies
from tests.support.replies import Notification, stands_whole
from tests.support.second_opinion import agrees, agrees_but_for_time

LONGEST_DECODE_S = 2.0
"""CPU time of one small reply: a thousand times what it should take, so that a busy machine is no
finding."""

EXAMPLES_PER_SEED = 200

DAMAGED_PER_EXAMPLE = 40

LARGEST_WITH_NEIGHBOURS = 1 << 12
"""Bytes. In a larger body, text that is not UTF-8 is not decoded byte by byte, so damage may reach
further."""

_ROOTS = re.compile(
    rf"<[/\s]*(?:{root_elements.PATTERN}|error)|\"(?:{root_elements.PATTERN})\"".encode(),
    re.IGNORECASE,
)
_TOKENS = [
    *(f"<{name}>" for name in root_elements.CANONICAL_NAMES.values()),
    *(f"</{name}>" for name in root_elements.CANONICAL_NAMES.values()),
    *("<TimeStamp>0x1c91ec39</TimeStamp>", "<Demand>0x0003b0</Demand>"),
    *("<Divisor>0x3e8</Divisor>", "<Price>0x7d</Price>", "<TimeStamp>", "</TimeStamp>"),
    *("<Text>", "</Text>", "<", ">", "/", "</", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<?"),
    *("?>", '<!DOCTYPE a [<!ENTITY a "&a;">]>', "&amp;", "&lt;", "&#x41;", "&#99999999;", "&a;"),
    *("\0", "\ufeff", "\r\n", "0x", "f" * 17, '{"InstantaneousDemand":'),
    *('"HistoryData":{"CurrentSummation":[', '"TimeStamp":"0x1c91ec39"', '"Demand":"0x0003b0"'),
    *('"', "\\", "{", "}", "[", "]", ":", ",", "null", "1e999999999", "\ud83d"),
    f"<InstallCode>{replies.SECRET}</InstallCode>",
]

# A splice may put the secret where a MAC or a counter stands. Then it cannot be recognised.
_MISNAMED = re.compile(
    rf'(?:id|guid|received|delivered|demand)(?:\s*>|"\s*:\s*")\s*{replies.SECRET}', re.IGNORECASE
)

_notifications = st.lists(replies.readings | replies.others, min_size=1, max_size=4)


@st.composite
def _whole(draw: st.DrawFn) -> bytes:
    notifications: list[Notification] = draw(_notifications)
    body = draw(replies.xml_replies(notifications) | replies.json_replies(notifications))
    return body.decode().encode("cp1252", "xmlcharrefreplace") if draw(st.booleans()) else body


def damaged(whole: Sequence[bytes], chance: random.Random) -> bytes:
    """One of these replies, cut, spliced and flipped several times over."""
    body = bytearray(chance.choice(whole))
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(body))
        match chance.randrange(5):
            case 0:
                del body[at:]
            case 1:
                other = chance.choice(whole)
                body[at:] = other[chance.randint(0, len(other)) :]
            case 2 if at < len(body):
                body[at] = chance.randrange(256)
            case 3:
                body[at:at] = chance.choice(_TOKENS).encode("utf-8", "surrogatepass")
            case _:
                del body[at : at + chance.randint(1, 40)]
    return bytes(body)


_soup = st.lists(st.sampled_from(_TOKENS) | st.text(max_size=3), max_size=60).map(
    lambda tokens: "".join(tokens).encode("utf-8", "surrogatepass")
)
_repeated = st.tuples(st.sampled_from(_TOKENS), st.sampled_from(_TOKENS), st.integers(1, 2000)).map(
    lambda drawn: ((drawn[0] + drawn[1]) * drawn[2]).encode("utf-8", "surrogatepass")
)
_bodies = st.lists(_whole() | _soup | _repeated | st.binary(max_size=300), min_size=1, max_size=3)


@st.composite
def _neighbours(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Two whole replies in the same spelling."""
    spelled = draw(st.sampled_from([replies.xml_replies, replies.json_replies]))
    first, last = draw(_notifications), draw(_notifications)
    return draw(spelled(first)), draw(spelled(last))


def check(body: bytes, tally: Counter[str]) -> None:
    """Raises AssertionError, or what the decoder raises, for a finding."""
    begin = time.process_time()
    decoded = decode(body)
    took = time.process_time() - begin
    assert took < LONGEST_DECODE_S, f"{took:.1f} s"
    text = text_of(body)
    for reading in decoded.readings:
        assert stands_whole(reading, text) or stands_whole(
            reading, xml_replies.without_markup(text)[0]
        ), reading
        assert agrees(reading), reading
        line = parse_line(encode_line("00ce69", reading, reading.time + 1)[:-1])
        assert (line.identity, line.values) == (reading.identity, value_text(reading.values))
    for undated in decoded.undated:
        assert stands_whole(undated, text) or stands_whole(
            undated, xml_replies.without_markup(text)[0]
        ), undated
        assert agrees_but_for_time(undated), undated
    recognisable = not _MISNAMED.search(text)
    assert not (recognisable and replies.SECRET[2:] in repr(decoded.problems))
    assert all(
        len(problem.sample.encode("utf-8", "surrogatepass")) <= 4096 for problem in decoded.problems
    )
    tally.update(
        replies=1,
        readings=len(decoded.readings) + len(decoded.undated),
        problems=len(decoded.problems),
    )
    for status in (200, 500, 404):
        try:
            interpret(status, {}, body, ("made-up words",))
        except EagleError as exc:
            assert not (recognisable and replies.SECRET[2:] in str(exc))  # noqa: PT017  (no error may show it)
            tally["errors"] += 1


def check_neighbours(first: bytes, last: bytes, between: bytes) -> None:
    """A notification that stands whole before or behind a damaged one is read, unless the damage
    opens a comment or the like."""
    if (
        len(first + between + last) > LARGEST_WITH_NEIGHBOURS
        or len(_ROOTS.findall(between)) > MOST_NOTIFICATIONS - 8
    ):
        return  # notifications behind so many are not read
    before, behind = decode(first).readings, decode(last).readings
    readings = decode(first + between + last).readings
    assert readings[: len(before)] == before
    if b"<!" not in between and b"<?" not in between:
        assert readings[len(readings) - len(behind) :] == behind


def check_prefix(body: bytes, cut: int) -> None:
    """No beginning of a reply gives a reading that the whole reply does not give."""
    readings = decode(body[:cut]).readings
    assert readings == decode(body).readings[: len(readings)]


def check_many(
    whole: Sequence[bytes],
    neighbours: tuple[bytes, bytes],
    chance: random.Random,
    tally: Counter[str],
) -> None:
    """Check these replies as they are, and damaged in many ways. Hypothesis itself would take too
    long to make that many."""
    first, last = neighbours
    for body in [
        *whole,
        *(damaged([*whole, *neighbours], chance) for _ in range(DAMAGED_PER_EXAMPLE)),
    ]:
        try:
            check(body, tally)
            check_neighbours(first, last, body)
            check_prefix(first, chance.randint(0, len(first)))
        except Exception as exc:
            raise AssertionError(f"a finding: {body!r} (between {first!r} and {last!r})") from exc


def fuzz(minutes: float, first_seed: int) -> Counter[str]:
    tally: Counter[str] = Counter()
    end, number = time.monotonic() + minutes * 60, first_seed
    while time.monotonic() < end:

        @seed(number)
        @settings(
            max_examples=EXAMPLES_PER_SEED,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(_bodies, _neighbours(), st.integers(0, 2**32))
        def one_round(whole: list[bytes], neighbours: tuple[bytes, bytes], chance: int) -> None:
            check_many(whole, neighbours, random.Random(chance), tally)

        one_round()
        number += 1
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.decoder", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)  # noqa: T201
    tally = fuzz(options.minutes, options.seed)
    print("no finding:", ", ".join(f"{count} {what}" for what, count in tally.items()))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
