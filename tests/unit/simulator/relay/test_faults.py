from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any, get_args

import pytest

from docs import simulated_relay
from eagle_logger.simulator.http.responses import Reply
from eagle_logger.simulator.relay import faults, replies
from eagle_logger.simulator.relay.accounts import Account
from eagle_logger.simulator.relay.broken_replies import NO_TIME_TEXTS
from eagle_logger.simulator.relay.commands import Command, parse
from eagle_logger.simulator.relay.faults import RelayFaults
from eagle_logger.simulator.relay.homes import Home, homes
from eagle_logger.simulator.relay.reply_plan import plan_of

HOMES = homes(50, seed=8)
HOME = HOMES[0]
IDS = {home.cloud_id for home in HOMES}
NOW = 1_764_000_000.0


def rules(*given: dict[str, Any], seed: int = 0) -> RelayFaults:
    return RelayFaults.parse(json.dumps({"seed": seed, "rules": given}).encode(), IDS, NOW)


def command(name: str, form: str = "XML") -> Command:
    found = parse(f"<Command><Name>{name}</Name><Format>{form}</Format></Command>".encode())
    assert found is not None
    return found


def answer(
    given: RelayFaults,
    name: str = "get_instantaneous_demand",
    *,
    number: int = 0,
    now: float = NOW,
    home: Home = HOME,
    form: str = "XML",
) -> Reply:
    asked = command(name, form)
    plan = plan_of(given.rules_hitting(home, asked.kind, number), home, number)
    return replies.reply_to(Account(home), asked, now, plan, given.wordings)


def readings(reply: Reply) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(reply.readings)
    return found


HEALTHY = answer(rules())


def test_a_rule_hits_its_share_of_replies() -> None:
    given = rules({"fault": "reset", "share": 0.1})
    hits = sum(
        bool(given.rules_hitting(home, "demand", number)) for home in HOMES for number in range(200)
    )
    assert 0.08 < hits / 10_000 < 0.12


def test_which_replies_are_hit_is_decided_by_the_seed() -> None:
    def hits(seed: int) -> list[bool]:
        return [
            bool(
                rules({"fault": "reset", "share": 0.5}, seed=seed).rules_hitting(
                    HOME, "demand", number
                )
            )
            for number in range(200)
        ]

    assert hits(1) == hits(1) != hits(2)


def test_two_rules_are_decided_apart() -> None:
    given = rules({"fault": "close", "share": 0.5}, {"fault": "empty", "share": 0.5})
    assert {len(given.rules_hitting(HOME, "demand", number)) for number in range(100)} == {0, 1, 2}


def test_a_rule_hits_only_its_homes_and_kinds() -> None:
    given = rules({"fault": "hang", "homes": [HOME.cloud_id], "kinds": ["price"]})
    assert given.rules_hitting(HOME, "price", 3)
    assert not given.rules_hitting(HOME, "demand", 3)
    assert not given.rules_hitting(HOMES[1], "price", 3)


def test_a_share_of_homes_is_hit_always() -> None:
    given = rules({"fault": "hang", "homes_share": 0.2})
    hit = {home.cloud_id for home in HOMES if given.rules_hitting(home, "demand", 0)}
    assert 2 < len(hit) < 25
    assert hit == {home.cloud_id for home in HOMES if given.rules_hitting(home, "demand", 77)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "JSON"),
        ('{"rules": [{"fault": "explode"}]}', "rules[0]: "),
        ('{"rules": [{"fault": "latency"}]}', "rules[0].latency.seconds: Field required"),
        (
            '{"rules": [{"fault": "hang", "share": 2}]}',
            "rules[0].hang.share: Input should be less than or equal to 1",
        ),
        (
            '{"rules": [{"fault": "hang", "often": 2}]}',
            "rules[0].hang.often: Extra inputs are not permitted",
        ),
        (
            '{"rules": [{"fault": "hang", "homes": ["zzzzzz"]}]}',
            "rules[0].homes: there is no home zzzzzz",
        ),
        ('{"rules": [{"fault": "status", "status": 777}]}', "rules[0].status.status: "),
        ('{"rules": [{"fault": "dirty", "ways": []}]}', "rules[0].dirty.ways: "),
        ('{"wordings": {"bad_mood": {"status": 200, "text": ""}}}', "wordings.bad_mood: "),
    ],
)
def test_mistakes_are_named_where_they_are(text: str, said: str) -> None:
    with pytest.raises(ValueError) as wrong:
        RelayFaults.parse(text.encode(), IDS, NOW)
    assert said in str(wrong.value)


def test_what_is_shown_can_be_put_again() -> None:
    given = rules(
        {"fault": "stale"},
        {"fault": "dirty"},
        {"fault": "status", "status": 429, "retry_after": 7},
        seed=4,
    )
    assert (
        RelayFaults.parse(json.dumps(given.as_json()).encode(), IDS, NOW + 99).as_json()
        == given.as_json()
    )


@pytest.mark.parametrize(
    ("rule", "status", "body"),
    [
        ({"fault": "empty"}, 200, b""),
        ({"fault": "status", "status": 401}, 401, b"Unauthorized"),
        ({"fault": "status", "status": 408}, 408, b"Request Timeout"),
        ({"fault": "status", "status": 503}, 503, b"Timeout waiting for response"),
        ({"fault": "status", "status": 500, "text": "oops"}, 500, b"oops"),
        ({"fault": "error_text"}, 200, b"Request Timeout"),
        ({"fault": "error_text", "text": "Service Unavailable"}, 200, b"Service Unavailable"),
        (
            {"fault": "error_xml", "text": "no"},
            200,
            b"<Error>\r\n  <Text>no</Text>\r\n</Error>\r\n",
        ),
    ],
)
def test_faults_that_replace_the_body(rule: dict[str, Any], status: int, body: bytes) -> None:
    reply = answer(rules(rule))
    assert (reply.status, reply.body, readings(reply), reply.outcome) == (
        status,
        body,
        [],
        rule["fault"],
    )


def test_retry_after() -> None:
    assert answer(rules({"fault": "status", "status": 429, "retry_after": 30})).headers == (
        ("Retry-After", "30"),
    )


def test_a_flood_has_other_meters_in_each_reply() -> None:
    first, second = (answer(rules({"fault": "flood"}), number=number) for number in (1, 2))
    assert (len(first.body), readings(first)) == (2**20, [])
    meters = [
        set(re.findall(rb"<MeterMacId>(0x[0-9a-f]{16})</MeterMacId>", reply.body))
        for reply in (first, second)
    ]
    assert all(len(several) > 4000 for several in meters)
    assert not meters[0] & meters[1]


def test_garbage_and_huge_bodies_hold_no_reading() -> None:
    assert len(answer(rules({"fault": "garbage", "length": 500})).body) == 500
    huge = answer(rules({"fault": "huge"}))
    assert (len(huge.body), readings(huge)) == (2**21, [])


@pytest.mark.parametrize(
    "name", ["get_instantaneous_demand", "get_current_summation", "get_price", "get_message"]
)
@pytest.mark.parametrize("form", ["XML", "JSON"])
def test_a_truncated_fragment_never_has_its_end(name: str, form: str) -> None:
    given = rules({"fault": "truncated"})
    for number in range(100):
        reply = answer(given, name, number=number, form=form)
        assert readings(reply) == []
        assert b"</" + answer(rules(), name).body[1:10] not in reply.body
        assert b"}" not in reply.body


def test_a_truncated_backlog_keeps_what_is_whole() -> None:
    reply = answer(rules({"fault": "truncated"}, {"fault": "backlog", "count": 4}))
    assert len(readings(reply)) == reply.body.count(b"</InstantaneousDemand>") == 3


def test_a_truncated_history_has_nothing_whole() -> None:
    reply = answer(rules({"fault": "truncated"}), "get_history_data")
    assert reply.body
    assert (readings(reply), reply.body.count(b"</CurrentSummation>")) == ([], 0)


def test_restarted_and_doubled() -> None:
    restarted, doubled = answer(rules({"fault": "restarted"})), answer(rules({"fault": "doubled"}))
    assert restarted.body.endswith(HEALTHY.body)
    assert len(restarted.body) > len(HEALTHY.body)
    assert restarted.body.count(b"</InstantaneousDemand>") == 1
    assert readings(restarted) == readings(HEALTHY)
    assert doubled.body == HEALTHY.body * 2
    assert readings(doubled) == readings(HEALTHY) * 2


def test_a_stale_gateway_shows_the_same_again_and_again() -> None:
    given = rules({"fault": "stale"})
    assert {answer(given, now=NOW + later).body for later in (0, 60, 86400)} == {HEALTHY.body}


def test_a_backlog_comes_newest_first() -> None:
    times = [
        reading["time"] for reading in readings(answer(rules({"fault": "backlog", "count": 10})))
    ]
    assert len(times) == 10
    assert times[0] == readings(HEALTHY)[0]["time"]
    assert all(newer > older for newer, older in pairwise(times))


def test_a_wrong_clock_moves_only_the_time() -> None:
    (wrong,), (right,) = (
        readings(answer(rules({"fault": "wrong_clock", "offset": -5_443_200}))),
        readings(HEALTHY),
    )
    assert wrong == {**right, "time": right["time"] - 5_443_200}


def test_a_clock_so_wrong_that_its_time_wraps_around_says_nothing() -> None:
    given = rules({"fault": "wrong_clock", "offset": -800_000_000})
    assert readings(answer(given, now=NOW - 60_000_000)) == []
    assert len(readings(answer(given, now=NOW))) == 1


@pytest.mark.parametrize(
    "name", ["get_instantaneous_demand", "get_current_summation", "get_price", "get_message"]
)
def test_sentinels_are_sent_and_say_no_time_or_no_reading(name: str) -> None:
    given = rules({"fault": "sentinel"})
    healthy = answer(rules(), name)
    (undated,) = [{**one, "time": None} for one in readings(healthy)]
    for number in range(40):
        reply = answer(given, name, number=number)
        has_value = name not in {"get_instantaneous_demand", "get_price"} or _no_time_is_in(
            reply.body
        )
        assert readings(reply) == (
            [undated] if has_value and name != "get_instantaneous_demand" else []
        )
        assert reply.body != healthy.body
        assert len(reply.body.splitlines()) == len(healthy.body.splitlines())


def _no_time_is_in(body: bytes) -> bool:
    return any(f"<TimeStamp>{text}</TimeStamp>".encode() in body for text in NO_TIME_TEXTS)


def test_a_clock_so_wrong_that_it_says_no_time_dates_nothing() -> None:
    earlier = NOW - 60_000_000
    stamp = readings(answer(rules(), "get_price", now=earlier))[0]["time"] - 946_684_800
    given = rules({"fault": "wrong_clock", "offset": -stamp})
    assert [one["time"] for one in readings(answer(given, "get_price", now=earlier))] == [None]


def test_every_sentinel_occurs() -> None:
    given = rules({"fault": "sentinel"})
    bodies = b"".join(
        answer(given, name, number=n).body
        for n in range(80)
        for name in ("get_instantaneous_demand", "get_price")
    )
    for text in (
        b">0x800000<",
        b">0xff800000<",
        b">0xffffffff<",
        b">0x00000000<",
        b">0xffffff<",
        b"<TimeStamp></",
        b">0x0f</Trail",
        b">0xff</Trail",
    ):
        assert text in bodies


def test_the_summation_runs_backwards() -> None:
    given = rules({"fault": "backwards", "by": 5000})
    counted = [
        float(
            readings(answer(given, "get_current_summation", now=NOW + 240 * turn))[0]["delivered"]
        )
        for turn in range(16)
    ]
    assert sum(later < earlier for earlier, later in pairwise(counted)) >= 12


@pytest.mark.parametrize("way", get_args(faults.DirtyWay))
def test_dirt_keeps_every_reading(way: str) -> None:
    given = rules({"fault": "dirty", "ways": [way]})
    for name in ("get_instantaneous_demand", "get_current_summation", "get_price", "get_message"):
        reply, clean = answer(given, name), answer(rules(), name)
        assert readings(reply) == readings(clean)
        changes = name in {
            "renamed": ["get_current_summation"],
            "entities": ["get_price", "get_message"],
        }.get(way, [name])
        assert (reply.body != clean.body) is changes, (way, name)


def test_faults_add_up() -> None:
    reply = answer(
        rules({"fault": "close"}, {"fault": "wrong_clock", "offset": 60}, {"fault": "empty"})
    )
    assert (reply.close, reply.body, reply.outcome) == (True, b"", "close+wrong_clock+empty")


def test_what_the_documentation_shows_is_accepted() -> None:
    given = RelayFaults.parse(json.dumps(simulated_relay.EXAMPLE).encode(), IDS, NOW)
    assert [rule.fault for rule in given.rules] == ["status", "hang"]
