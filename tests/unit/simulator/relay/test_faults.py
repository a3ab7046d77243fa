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
from eagle_logger.simulator.relay.homes import homes
from eagle_logger.simulator.relay.reply_plan import plan_of

HOMES = homes(50, seed=8)
HOME = HOMES[0]
IDS = {home.cloud_id for home in HOMES}
NOW = 1_764_000_000.0
READING_COMMANDS = ("get_instantaneous_demand", "get_current_summation", "get_price", "get_message")
COMMANDS_CHANGED_BY = {
    "renamed": ["get_current_summation"],
    "entities": ["get_price", "get_message"],
}
"""Ways of being dirty that change only some notifications; the others change all."""
NO_TIME_STAMPS = [f"<TimeStamp>{text}</TimeStamp>".encode() for text in NO_TIME_TEXTS]


def faults_of(*rules: dict[str, Any], seed: int = 0) -> RelayFaults:
    return RelayFaults.parse(json.dumps({"seed": seed, "rules": rules}).encode(), IDS, NOW)


def command(name: str, form: str = "XML") -> Command:
    body = f"<Command><Name>{name}</Name><Format>{form}</Format></Command>"
    command = parse(body.encode())
    assert command is not None
    return command


def answer(
    *rules: dict[str, Any],
    name: str = "get_instantaneous_demand",
    number: int = 0,
    now: float = NOW,
    form: str = "XML",
) -> Reply:
    """The answer of `HOME` to request `number` under these rules."""
    relay_faults, asked = faults_of(*rules), command(name, form)
    plan = plan_of(relay_faults.rules_hitting(HOME, asked.kind, number), HOME, number)
    return replies.reply_to(Account(HOME), asked, now, plan, relay_faults.wordings)


def readings(reply: Reply) -> list[dict[str, Any]]:
    """The readings that the ledger lists for this reply."""
    parsed: list[dict[str, Any]] = json.loads(reply.readings)
    return parsed


def delivered_at(now: float, *rules: dict[str, Any]) -> float:
    (reading,) = readings(answer(*rules, name="get_current_summation", now=now))
    return float(reading["delivered"])


HEALTHY = answer()


def test_a_rule_hits_its_share_of_replies() -> None:
    relay_faults = faults_of({"fault": "reset", "share": 0.1})
    hits = [relay_faults.rules_hitting(home, "demand", n) for home in HOMES for n in range(200)]
    assert 0.08 < sum(map(bool, hits)) / len(hits) < 0.12


def test_which_replies_are_hit_is_decided_by_the_seed() -> None:
    def hits(seed: int) -> list[bool]:
        relay_faults = faults_of({"fault": "reset", "share": 0.5}, seed=seed)
        return [bool(relay_faults.rules_hitting(HOME, "demand", n)) for n in range(200)]

    assert hits(1) == hits(1) != hits(2)


def test_whether_a_rule_hits_does_not_depend_on_another_rule() -> None:
    relay_faults = faults_of({"fault": "close", "share": 0.5}, {"fault": "empty", "share": 0.5})
    counts = {len(relay_faults.rules_hitting(HOME, "demand", n)) for n in range(100)}
    assert counts == {0, 1, 2}


def test_a_rule_hits_only_its_homes_and_kinds() -> None:
    relay_faults = faults_of({"fault": "hang", "homes": [HOME.cloud_id], "kinds": ["price"]})
    assert relay_faults.rules_hitting(HOME, "price", 3)
    assert not relay_faults.rules_hitting(HOME, "demand", 3)
    assert not relay_faults.rules_hitting(HOMES[1], "price", 3)


def test_a_share_of_homes_is_hit_in_every_reply() -> None:
    relay_faults = faults_of({"fault": "hang", "homes_share": 0.2})

    def homes_hit(number: int) -> set[str]:
        return {h.cloud_id for h in HOMES if relay_faults.rules_hitting(h, "demand", number)}

    assert 2 < len(homes_hit(0)) < 25
    assert homes_hit(0) == homes_hit(77)


@pytest.mark.parametrize(
    ("text", "mistake"),
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
def test_a_mistake_is_reported_with_its_place(text: str, mistake: str) -> None:
    with pytest.raises(ValueError) as error:
        RelayFaults.parse(text.encode(), IDS, NOW)
    assert mistake in str(error.value)


def test_what_get_shows_can_be_put_again() -> None:
    status = {"fault": "status", "status": 429, "retry_after": 7}
    shown = faults_of({"fault": "stale"}, {"fault": "dirty"}, status, seed=4).as_json()
    assert RelayFaults.parse(json.dumps(shown).encode(), IDS, NOW + 99).as_json() == shown


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
def test_a_fault_replaces_the_body(rule: dict[str, Any], status: int, body: bytes) -> None:
    reply = answer(rule)
    assert (reply.status, reply.body) == (status, body)
    assert (readings(reply), reply.outcome) == ([], rule["fault"])


def test_a_status_may_have_a_retry_after() -> None:
    reply = answer({"fault": "status", "status": 429, "retry_after": 30})
    assert reply.headers == (("Retry-After", "30"),)


def test_a_flood_has_other_meters_in_each_reply() -> None:
    first, second = (answer({"fault": "flood"}, number=number) for number in (1, 2))
    assert (len(first.body), readings(first)) == (2**20, [])
    meters = [
        set(re.findall(rb"<MeterMacId>(0x[0-9a-f]{16})</MeterMacId>", reply.body))
        for reply in (first, second)
    ]
    assert min(map(len, meters)) > 4000
    assert not meters[0] & meters[1]


def test_garbage_and_huge_bodies_hold_no_reading() -> None:
    assert len(answer({"fault": "garbage", "length": 500}).body) == 500
    huge = answer({"fault": "huge"})
    assert (len(huge.body), readings(huge)) == (2**21, [])


@pytest.mark.parametrize("name", READING_COMMANDS)
@pytest.mark.parametrize("form", ["XML", "JSON"])
def test_a_truncated_fragment_never_has_its_end(name: str, form: str) -> None:
    root = answer(name=name).body[1:10]
    for number in range(100):
        reply = answer({"fault": "truncated"}, name=name, number=number, form=form)
        assert readings(reply) == []
        assert b"</" + root not in reply.body
        assert b"}" not in reply.body


def test_a_truncated_backlog_keeps_the_complete_readings() -> None:
    reply = answer({"fault": "truncated"}, {"fault": "backlog", "count": 4})
    assert len(readings(reply)) == reply.body.count(b"</InstantaneousDemand>") == 3


def test_a_truncated_history_has_no_complete_reading() -> None:
    reply = answer({"fault": "truncated"}, name="get_history_data")
    assert reply.body
    assert (readings(reply), reply.body.count(b"</CurrentSummation>")) == ([], 0)


def test_a_restarted_fragment_counts_once() -> None:
    reply = answer({"fault": "restarted"})
    assert reply.body.endswith(HEALTHY.body)
    assert len(reply.body) > len(HEALTHY.body)
    assert reply.body.count(b"</InstantaneousDemand>") == 1
    assert readings(reply) == readings(HEALTHY)


def test_a_doubled_body_has_each_reading_twice() -> None:
    reply = answer({"fault": "doubled"})
    assert reply.body == HEALTHY.body * 2
    assert readings(reply) == readings(HEALTHY) * 2


def test_a_stale_gateway_shows_the_same_again_and_again() -> None:
    bodies = {answer({"fault": "stale"}, now=NOW + later).body for later in (0, 60, 86400)}
    assert bodies == {HEALTHY.body}


def test_a_backlog_comes_newest_first() -> None:
    times = [reading["time"] for reading in readings(answer({"fault": "backlog", "count": 10}))]
    assert len(times) == 10
    assert times[0] == readings(HEALTHY)[0]["time"]
    assert all(newer > older for newer, older in pairwise(times))


def test_a_wrong_clock_moves_only_the_time() -> None:
    (moved,) = readings(answer({"fault": "wrong_clock", "offset": -5_443_200}))
    (right,) = readings(HEALTHY)
    assert moved == {**right, "time": right["time"] - 5_443_200}


def test_a_clock_so_wrong_that_its_time_wraps_around_gives_no_reading() -> None:
    rule = {"fault": "wrong_clock", "offset": -800_000_000}
    assert readings(answer(rule, now=NOW - 60_000_000)) == []
    assert len(readings(answer(rule, now=NOW))) == 1


@pytest.mark.parametrize("name", READING_COMMANDS)
def test_a_sentinel_leaves_an_undated_reading_or_none(name: str) -> None:
    healthy = answer(name=name)
    (reading,) = readings(healthy)
    for number in range(40):
        reply = answer({"fault": "sentinel"}, name=name, number=number)
        is_undated = any(stamp in reply.body for stamp in NO_TIME_STAMPS)
        holds = is_undated and name != "get_instantaneous_demand"
        assert readings(reply) == ([{**reading, "time": None}] if holds else [])
        assert reply.body != healthy.body
        assert len(reply.body.splitlines()) == len(healthy.body.splitlines())


def test_a_clock_so_wrong_that_its_time_means_none_leaves_an_undated_reading() -> None:
    earlier = NOW - 60_000_000
    (price,) = readings(answer(name="get_price", now=earlier))
    rule = {"fault": "wrong_clock", "offset": 946_684_800 - price["time"]}
    (undated,) = readings(answer(rule, name="get_price", now=earlier))
    assert undated == {**price, "time": None}


def test_every_sentinel_occurs() -> None:
    bodies = [
        answer({"fault": "sentinel"}, name=name, number=number).body
        for number in range(80)
        for name in ("get_instantaneous_demand", "get_price")
    ]
    values = [b">0x800000<", b">0xff800000<", b">0xffffffff</P", b">0x0f</Trail", b">0xff</Trail"]
    for sentinel in (*values, *NO_TIME_STAMPS):
        assert any(sentinel in body for body in bodies), sentinel


def test_the_fault_backwards_makes_the_summation_run_backwards() -> None:
    rule = {"fault": "backwards", "by": 5000}
    delivered = [delivered_at(NOW + 240 * turn, rule) for turn in range(16)]
    assert sum(later < earlier for earlier, later in pairwise(delivered)) >= 12


@pytest.mark.parametrize("way", get_args(faults.DirtyWay))
@pytest.mark.parametrize("name", READING_COMMANDS)
def test_dirty_xml_keeps_every_reading(way: str, name: str) -> None:
    reply, clean = answer({"fault": "dirty", "ways": [way]}, name=name), answer(name=name)
    assert readings(reply) == readings(clean)
    assert (reply.body != clean.body) is (name in COMMANDS_CHANGED_BY.get(way, [name]))


def test_faults_of_different_sorts_add_up() -> None:
    reply = answer({"fault": "close"}, {"fault": "wrong_clock", "offset": 60}, {"fault": "empty"})
    assert (reply.close, reply.body, reply.outcome) == (True, b"", "close+wrong_clock+empty")


def test_the_example_on_the_reference_page_is_valid() -> None:
    relay_faults = RelayFaults.parse(json.dumps(simulated_relay.EXAMPLE).encode(), IDS, NOW)
    assert [rule.fault for rule in relay_faults.rules] == ["status", "hang"]
