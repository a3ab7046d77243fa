"""The reference page of the simulated relay. Its table of faults is made from the models that check
them: their fields and docstrings."""

from __future__ import annotations

import inspect
import json
from typing import get_args

from pydantic.fields import FieldInfo

from eagle_logger.simulator.relay.faults import AnyRule, RefusalTexts, Rule, RuleKind
from eagle_logger.simulator.relay.own_pages import METHODS
from eagle_logger.simulator.relay.relay import RELAY_PATH

EXAMPLE = {
    "rules": [
        {"fault": "status", "status": 429, "retry_after": 30, "share": 0.1},
        {"fault": "hang", "homes_share": 0.04},
    ],
}
_OWN_PAGES = ", ".join(f"{' and '.join(methods)} `{path}`" for path, methods in METHODS.items())
_KINDS = ", ".join(f"`{kind}`" for kind in get_args(RuleKind))
_INTRODUCTION = f"""\
# The simulated relay

It stands in for Rainforest's relay, with simulated homes, for people without a gateway and for
tests. `eagle-logger up --homes 25` starts one and prints its URL. To run it alone:

```sh
eagle-logger simulate --homes 25 --port 8181 --users-file users.jsonl
```

Ask it as you would ask the real relay: POST `{RELAY_PATH}` with the headers `Cloud-Id`, `User`
and `Password`. Their values are in the users file, which `eagle-logger users import` takes. The
same `--seed` gives the same homes with the same readings.

It also answers {_OWN_PAGES}.

- `/ledger` has a JSON line for each complete reply, with the readings in it. `?after=` a byte
  offset gives only the lines behind it.
- `/stats` shows how many requests came, how close together, and how many at once. `?homes=all`
  shows it for each home.

## Faults

A PUT replaces the faults that are in force, while the relay runs:

```sh
curl -X PUT http://127.0.0.1:8181/faults -d '{json.dumps(EXAMPLE)}'
```

Whether a rule hits a reply does not depend on the other rules, so several may hit the same reply.
Of those that replace or damage the whole body (`empty` to `dirty` below), only the first that hits
has an effect. Of two rules with the same fault it is the first of `latency`, `reset` and `drip`,
and the last of `stale`, `sentinel` and `backwards`; the largest `backlog` counts, and the offsets
of `wrong_clock` add up.

These members are the same for every rule, and by default it hits all replies:

- `share`: the share of replies that it hits, from 0 to 1, by chance;
- `homes`: the cloud ids of the homes that it hits;
- `homes_share`: the share of homes that it hits, always the same ones;
- `kinds`: the kinds of request that it hits ({_KINDS}).

A value behind a member's name below is its default. *Captured*, *inferred* and *one client* are the
sources of a fault, as [What gateways send](quirks.md) explains them; the other faults are invented.

| fault | members | what happens |
| --- | --- | --- |"""
_WORDINGS = f"""
How the real relay words a refusal is not known. So `wordings`, beside `rules`, takes another
`status` and `text` for each of {", ".join(f"`{name}`" for name in RefusalTexts.model_fields)}."""


def render() -> str:
    rows = map(_fault_row, get_args(get_args(AnyRule)[0]))
    return "\n".join([_INTRODUCTION, *rows, _WORDINGS]) + "\n"


def _fault_row(rule: type[Rule]) -> str:
    (fault,) = get_args(rule.model_fields["fault"].annotation)
    members = [
        _member_description(name, field)
        for name, field in rule.model_fields.items()
        if name != "fault" and name not in Rule.model_fields
    ]
    description = " ".join(inspect.cleandoc(rule.__doc__ or "").split())
    return f"| `{fault}` | {', '.join(members)} | {description} |"


def _member_description(name: str, field: FieldInfo) -> str:
    if not field.is_required():
        default = "" if field.default is None else f": `{json.dumps(field.default)}`"
        return f"`{name}`{default}"
    choices = ", ".join(map(str, get_args(field.annotation)))
    return f"`{name}`" + (f" (one of {choices})" if choices else "")
