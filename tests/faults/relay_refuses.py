"""Fault 8, a part of the relay: it refuses some homes whose credentials have worked. They must be
fetched again by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from tests.faults.scenario import Scenario, Strike, fetching
from tests.faults.system_under_test import Setup, Trial

SETUP = Setup(homes=20)
REFUSED = 13
"""Homes: so few refused visits that they do not open the circuit breaker."""

_PAGE = "<html><head><title>Blocked</title></head><body><h1>Access denied</h1></body></html>"
_PHP = (
    "<br />\n<b>Warning</b>:  mysql_connect(): Access denied for user 'relay'@'localhost' "
    "(using password: YES) in <b>/var/www/html/db.php</b> on line <b>9</b><br />\n"
)


def some_are_refused(answer: str, lasts: float, chance: Random, **rule: Any) -> Strike:
    numbers = sorted(chance.sample(range(SETUP.homes), REFUSED))

    def begin(trial: Trial) -> None:
        homes = sorted(trial.stand_ins.per_home())
        trial.stand_ins.relay_misbehaves({**rule, "homes": [homes[number] for number in numbers]})

    def end(trial: Trial) -> None:
        trial.stand_ins.relay_misbehaves()
        totals = trial.run(trial.store.fleet.totals())
        trial.notes.setdefault("refused", str(totals.refused))
        assert totals.parked == 0, (
            f"{totals.parked} homes are parked, though their credentials have worked"
        )

    return Strike(
        f"{REFUSED} of {SETUP.homes} homes get {answer}",
        begin,
        end,
        lasts=lasts,
        calm=chance.uniform(1, 3),
        flow=fetching,
    )


def plan(chance: Random) -> Sequence[Strike]:
    return [
        some_are_refused(
            "401", 45, chance, fault="status", status=401, text="Wrong User or Password"
        ),
        some_are_refused(
            "403 with a proxy's block page", 15, chance, fault="status", status=403, text=_PAGE
        ),
        some_are_refused(
            "200 with PHP's trouble with its database", 15, chance, fault="error_text", text=_PHP
        ),
    ]


def figures(trial: Trial) -> str:
    return f"{trial.notes['refused']} were then asked every half minute, which is this clock's hour"


SCENARIOS = [
    Scenario(
        "relay-refuses",
        8,
        "a part of the homes is refused for 45 s (401), or gets a proxy's or PHP's page",
        plan,
        SETUP,
        remark=figures,
    )
]
