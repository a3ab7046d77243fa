"""From a command to the reply that is sent: what the gateway says, and what happens to it on its way."""

from __future__ import annotations

from eagle_logger.simulator import body, gateway
from eagle_logger.simulator.accounts import Account
from eagle_logger.simulator.commands import Command
from eagle_logger.simulator.faults import Faults, Plan
from eagle_logger.simulator.gateway import Mood, Words
from eagle_logger.simulator.homes import Home
from eagle_logger.simulator.wire import Reply


def reply(who: Account | str, command: Command | None, now: float, plan: Plan, faults: Faults) -> Reply:  # noqa: ARG001
    """The reply at `now` (Unix seconds of the meters' clock) to an account, or to whom the named wording refuses."""
    if isinstance(who, str):
        return refusal(faults, who)
    home = who.home
    if command is None:
        return refusal(faults, "unknown_command")
    if command.mac not in ("", home.device):
        return refusal(faults, "unknown_mac")
    words = gateway.answer(home, command, now, Mood(confirmed=who.confirmed))
    if words is None:
        return refusal(faults, "unknown_command")
    return Reply(_encoded(words, command), readings=_readings(home, words))


def refusal(faults: Faults, name: str) -> Reply:
    wording = faults.wordings[name]
    return Reply(wording.text.encode(), wording.status, name)


def _encoded(words: Words, command: Command) -> bytes:
    return body.as_json(words) if command.wants_json and command.name != "list_network" else body.xml(words)


def _readings(home: Home, words: Words) -> str:
    return "[" + ",".join([one.said.as_json(home) for one in words.notifications if one.said is not None]) + "]"
