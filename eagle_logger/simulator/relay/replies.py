"""From a command to the reply that is sent: what the gateway says, and what happens to it on its
way."""

from __future__ import annotations

from collections.abc import Iterable

from eagle_logger.simulator.http.responses import Reply
from eagle_logger.simulator.relay import gateway, rendering
from eagle_logger.simulator.relay.accounts import Account
from eagle_logger.simulator.relay.broken_replies import spoilt, with_sentinel
from eagle_logger.simulator.relay.commands import Command
from eagle_logger.simulator.relay.faults import RefusalTexts
from eagle_logger.simulator.relay.gateway import GatewayState, NotificationsReply
from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.notifications import RenderedText
from eagle_logger.simulator.relay.reply_plan import HEALTHY, ReplyPlan


def reply(
    who: Account | str, command: Command | None, now: float, plan: ReplyPlan, wordings: RefusalTexts
) -> Reply:
    """The reply at `now` (Unix seconds of the meters' clock) to an account, or to whom the named
    wording refuses."""
    if isinstance(who, str):
        return _refusal(wordings, who)
    home = who.home
    if command is None:
        return _refusal(wordings, "unknown_command")
    if command.mac not in ("", home.device):
        return _refusal(wordings, "unknown_mac")
    words = gateway.answer(home, command, now, _mood(who, plan))
    if words is None:
        return _refusal(wordings, "unknown_command")
    is_json = command.wants_json and command.name != "list_network"
    if plan is HEALTHY:
        said = [one.said for one in words.notifications if one.said]
        return Reply(
            (rendering.as_json if is_json else rendering.xml)(words), readings=_array(home, said)
        )
    return _ill(home, words, plan, is_json=is_json)


def _ill(home: Home, words: NotificationsReply, plan: ReplyPlan, *, is_json: bool) -> Reply:
    encode = rendering.as_json if is_json else rendering.xml
    if plan.sentinel is not None:
        words = with_sentinel(plan.sentinel, words, plan.chance >> 8)
    if plan.spoiler is None:
        said = [one.said for one in words.notifications if one.said]
        return Reply(
            encode(words), outcome=plan.outcome, readings=_array(home, said), close=plan.closes
        )
    result = spoilt(plan.spoiler, words, encode, plan.chance >> 16, is_json=is_json)
    return Reply(
        result.body,
        result.status,
        plan.outcome,
        readings=_array(home, result.said),
        headers=result.headers,
        close=plan.closes,
    )


def _mood(account: Account, plan: ReplyPlan) -> GatewayState:
    return GatewayState(
        confirmed=account.confirmed,
        seen_until=plan.seen_until,
        clock_error=plan.clock_error,
        backwards=plan.backwards,
        backlog=plan.backlog,
    )


def _refusal(wordings: RefusalTexts, name: str) -> Reply:
    wording = getattr(wordings, name)
    return Reply(wording.text.encode(), wording.status, name)


def _array(home: Home, said: Iterable[RenderedText]) -> str:
    return f"[{','.join([one.as_json(home) for one in said])}]"
