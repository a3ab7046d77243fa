"""Throws damaged replies at the decoder for as long as it is told to: `python -m tests.fuzz.decoder
--minutes 10`.

What must hold whatever comes: nothing is raised, no reading is there that did not stand whole in
the bytes, each one is what its fields say and survives its log line, what stood whole before and
behind the damage is still there, no prefix shows what the whole does not, no secret shows, and no
reply takes long. Exit 1, with the bytes, at the first finding.
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

LONGEST = 2.0
"""Seconds of CPU one small reply may take: a thousand times what it should, so that a busy machine
is no finding."""

ROUND = 200
"""Examples in a row from one seed."""

DAMAGES = 40
"""Ways in which each example is damaged."""

READ_BYTE_BY_BYTE = 1 << 12
"""Bytes of whole replies with damage between: in more, text that is not UTF-8 is not read byte by
byte."""

_ROOTS = re.compile(
    rf"<[/\s]*(?:{root_elements.PATTERN}|error)|\"(?:{root_elements.PATTERN})\"".encode(),
    re.IGNORECASE,
)
_TOKENS = [
    *(f"<{name}>" for name in root_elements.CANONICAL_NAMES.values()),
    *(f"</{name}>" for name in root_elements.CANONICAL_NAMES.values()),
    *(
        "<TimeStamp>0x1c91ec39</TimeStamp>",
        "<Demand>0x0003b0</Demand>",
        "<Divisor>0x3e8</Divisor>",
        "<Price>0x7d</Price>",
    ),
    *(
        "<TimeStamp>",
        "</TimeStamp>",
        "<Text>",
        "</Text>",
        "<",
        ">",
        "/",
        "</",
        "/>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
    ),
    *(
        '<!DOCTYPE a [<!ENTITY a "&a;">]>',
        "&amp;",
        "&lt;",
        "&#x41;",
        "&#99999999;",
        "&a;",
        "\0",
        "\ufeff",
        "\r\n",
        "0x",
        "f" * 17,
    ),
    *(
        '{"InstantaneousDemand":',
        '"HistoryData":{"CurrentSummation":[',
        '"TimeStamp":"0x1c91ec39"',
        '"Demand":"0x0003b0"',
    ),
    *(
        '"',
        "\\",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "null",
        "1e999999999",
        f"<InstallCode>{replies.SECRET}</InstallCode>",
        "\ud83d",
    ),
]

# A splice may put the secret where a MAC or a counter stands: then nobody can know it for one.
_MISNAMED = re.compile(
    rf'(?:id|guid|received|delivered|demand)(?:\s*>|"\s*:\s*")\s*{replies.SECRET}', re.IGNORECASE
)

_told = st.lists(replies.readings | replies.others, min_size=1, max_size=4)


@st.composite
def _whole(draw: st.DrawFn) -> bytes:
    told: list[Notification] = draw(_told)
    body = draw(replies.xml_replies(told) | replies.json_replies(told))
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
    first, last = draw(_told), draw(_told)
    return draw(spelled(first)), draw(spelled(last))


def check(body: bytes, tally: Counter[str]) -> None:
    """Raises AssertionError (or whatever the decoder raises) for a finding."""
    begin = time.process_time()
    decoded = decode(body)
    took = time.process_time() - begin
    assert took < LONGEST, f"{took:.1f} s"
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
    knowable = not _MISNAMED.search(text)
    assert not (knowable and replies.SECRET[2:] in repr(decoded.problems))
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
            assert not (knowable and replies.SECRET[2:] in str(exc))  # noqa: PT017  (whatever it is, it must not tell)
            tally["errors"] += 1


def check_neighbours(first: bytes, last: bytes, between: bytes) -> None:
    """What stands whole before and behind something damaged is kept, unless that opens a comment or
    the like."""
    if (
        len(first + between + last) > READ_BYTE_BY_BYTE
        or len(_ROOTS.findall(between)) > MOST_NOTIFICATIONS - 8
    ):
        return  # what is behind so many is not looked at
    before, behind = decode(first).readings, decode(last).readings
    found = decode(first + between + last).readings
    assert found[: len(before)] == before
    if b"<!" not in between and b"<?" not in between:
        assert found[len(found) - len(behind) :] == behind


def check_prefix(body: bytes, cut: int) -> None:
    """No prefix of a whole reply says anything that the whole does not."""
    found = decode(body[:cut]).readings
    assert found == decode(body).readings[: len(found)]


def several(
    whole: Sequence[bytes],
    neighbours: tuple[bytes, bytes],
    chance: random.Random,
    tally: Counter[str],
) -> None:
    """These replies as they are, and damaged in many ways (Hypothesis itself is too slow for that
    many)."""
    first, last = neighbours
    for body in [*whole, *(damaged([*whole, *neighbours], chance) for _ in range(DAMAGES))]:
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
            max_examples=ROUND,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(_bodies, _neighbours(), st.integers(0, 2**32))
        def one_round(whole: list[bytes], neighbours: tuple[bytes, bytes], chance: int) -> None:
            several(whole, neighbours, random.Random(chance), tally)

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
