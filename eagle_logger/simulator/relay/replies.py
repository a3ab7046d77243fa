"""From a command to the reply: what the gateway answers, and what faults make of it."""

from __future__ import annotations

from collections.abc import Iterable

from eagle_logger.simulator.http.responses import Reply
from eagle_logger.simulator.relay import gateway, rendering
from eagle_logger.simulator.relay.accounts import Account
from eagle_logger.simulator.relay.broken_replies import break_reply, with_sentinel
from eagle_logger.simulator.relay.commands import Command
from eagle_logger.simulator.relay.faults import RefusalTexts
from eagle_logger.simulator.relay.gateway import GatewayAnswer, GatewayState
from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.notifications import ExpectedReading
from eagle_logger.simulator.relay.reply_plan import HEALTHY, ReplyPlan


def reply_to(
    account: Account | str,
    command: Command | None,
    now: float,
    plan: ReplyPlan,
    wordings: RefusalTexts,
) -> Reply:
    """The reply at `now` (Unix seconds of the meters' clock).

    `account` is what `Accounts.authenticate` returned: a name is that of a refusal.
    """
    if isinstance(account, str):
        return _refusal(wordings, account)
    home = account.home
    if command is None:
        return _refusal(wordings, "unknown_command")
    if command.mac not in ("", home.device):
        return _refusal(wordings, "unknown_mac")
    answer = gateway.answer_command(home, command, now, _gateway_state(account, plan))
    if answer is None:
        return _refusal(wordings, "unknown_command")
    # list_network is XML only (the vendor's manual).
    is_json = command.wants_json and command.name != "list_network"
    if plan is HEALTHY:
        encode = rendering.as_json if is_json else rendering.xml
        return Reply(encode(answer), readings=_json_array(home, answer.readings()))
    return _faulty_reply(home, answer, plan, is_json=is_json)


def _faulty_reply(home: Home, answer: GatewayAnswer, plan: ReplyPlan, *, is_json: bool) -> Reply:
    encode = rendering.as_json if is_json else rendering.xml
    # Each fault draws from other bits of the same 64, so that they do not go together.
    if plan.sentinel is not None:
        answer = with_sentinel(plan.sentinel, answer, plan.random_bits >> 8)
    if plan.body_fault is None:
        return Reply(
            encode(answer),
            outcome=plan.outcome,
            readings=_json_array(home, answer.readings()),
            close=plan.closes,
        )
    broken = break_reply(plan.body_fault, answer, encode, plan.random_bits >> 16, is_json=is_json)
    return Reply(
        broken.body,
        broken.status,
        plan.outcome,
        readings=_json_array(home, broken.readings),
        headers=broken.headers,
        close=plan.closes,
    )


def _gateway_state(account: Account, plan: ReplyPlan) -> GatewayState:
    return GatewayState(
        confirmed=account.confirmed,
        traced=account.traced,
        shown_until=plan.shown_until,
        clock_error=plan.clock_error,
        backwards=plan.backwards,
        backlog=plan.backlog,
    )


def _refusal(wordings: RefusalTexts, name: str) -> Reply:
    wording = getattr(wordings, name)
    return Reply(wording.text.encode(), wording.status, name)


def _json_array(home: Home, readings: Iterable[ExpectedReading]) -> str:
    return f"[{','.join([reading.as_json(home) for reading in readings])}]"
