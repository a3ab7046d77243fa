"""The reference page of the simulated relay: its faults are told by the models that check them."""

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
_INTRODUCTION = f"""\
# The simulated relay

A Rainforest with homes that do not exist, for people without a gateway and for tests. `eagle-logger up --homes 25` brings one
along and says where it is; by itself it runs as

```sh
eagle-logger simulate --homes 25 --port 8181 --users-file users.jsonl
```

It is asked like the real one: POST `{RELAY_PATH}` with the headers `Cloud-Id`, `User` and `Password`, as they stand in
the users file, which `eagle-logger users import` takes. The same `--seed` gives the same homes and the same days.

Beside the relay it answers {", ".join(f"{' and '.join(of)} `{path}`" for path, of in METHODS.items())}. `/ledger`
has a JSON line for each complete reply, with the readings in it (`?after=` a byte offset: what came since); `/stats` says how
politely it was asked (`?homes=all`: home by home).

## Faults

What goes wrong can be changed while it runs; it replaces what went wrong before:

```sh
curl -X PUT http://127.0.0.1:8181/faults -d '{json.dumps(EXAMPLE)}'
```

Each rule is decided for itself. Of the rules about time, and of those that replace or damage the whole body, the first that
hits counts; all others add up. Every rule may say which replies it hits: a `share` of them (0 to 1, by chance), those of
certain `homes` (cloud ids) or of a share of all homes (`homes_share`, always the same ones), those to certain `kinds` of
question ({", ".join(f"`{kind}`" for kind in get_args(RuleKind))}). Where a member has a value below, that is its default.

| fault | members | what happens |
| --- | --- | --- |"""
_WORDINGS = f"""
How the real relay says no is not known. So `wordings`, beside `rules`, may give a `status` and a `text` of its own for each of
{", ".join(f"`{name}`" for name in RefusalTexts.model_fields)}."""


def render() -> str:
    return "\n".join([_INTRODUCTION, *map(_row, get_args(get_args(AnyRule)[0])), _WORDINGS]) + "\n"


def _row(rule: type[Rule]) -> str:
    (fault,) = get_args(rule.model_fields["fault"].annotation)
    own = [
        _field(name, info)
        for name, info in rule.model_fields.items()
        if name != "fault" and name not in Rule.model_fields
    ]
    said = " ".join(inspect.cleandoc(rule.__doc__ or "").split())
    return f"| `{fault}` | {', '.join(own)} | {said} |"


def _field(name: str, info: FieldInfo) -> str:
    if not info.is_required():
        return f"`{name}`" + ("" if info.default is None else f": `{json.dumps(info.default)}`")
    choices = ", ".join(map(str, get_args(info.annotation)))
    return f"`{name}`" + (f" (one of {choices})" if choices else "")
