from __future__ import annotations

import json

from eagle_logger.core.readings import Kind
from eagle_logger.core.users import User, UserState
from eagle_logger.rainforest.decode import decode
from eagle_logger.users.store import Claim
from eagle_logger.visit import Visit
from tests.unit.rainforest.quirks.quirk import MOMENT, summation


def new_visit() -> Visit:
    return Visit(Claim("00ce69", 1, 0.0, 0.0, None, User("00ce69"), None, UserState()))


def flags_of(visit: Visit) -> list[list[str]]:
    return [json.loads(line)["flags"] for lines in visit.lines.values() for line in lines]


def test_each_counter_is_held_against_the_reading_before() -> None:
    visit = new_visit()
    told = [
        ("0x100", "0x200", "0x1c91ec39"),
        ("0x101", "0x1ff", "0x1c91ed29"),
        ("0x101", "0x200", "0x1c91ee19"),
        ("0x1", "0x200", "0x1c91ef09"),
    ]
    for delivered, received, time in told:
        reply = summation(f"SummationDelivered={delivered}", f"SummationReceived={received}", time=time)
        visit.note_reply(Kind.SUMMATION, decode(reply), MOMENT + 800)
    assert flags_of(visit) == [[], ["backwards"], [], ["backwards"]]


def test_what_one_reply_says_twice_is_logged_once() -> None:
    visit = new_visit()
    reply = summation("SummationDelivered=0x1")
    visit.note_reply(Kind.SUMMATION, decode(reply + reply.replace(b"CurrentSummation", b"CurrentSummationDelivered")), MOMENT)
    assert len(visit.readings) == 1
