"""Which replies are spoilt, and how."""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from eagle_logger.simulator.homes import Home


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen to one reply."""

    latency: tuple[float, float] | None = None
    hangs: bool = False
    resets: bool = False


class Wording(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    status: int
    text: str


_WORDINGS = {
    "bad_cloud_id": Wording(status=401, text="Unknown Cloud-Id"),
    "bad_password": Wording(status=401, text="Wrong User or Password"),
    "unknown_mac": Wording(status=200, text="<Error>\r\n  <Text>Unknown MacId</Text>\r\n</Error>\r\n"),
    "unknown_command": Wording(status=200, text="<Error>\r\n  <Text>Unknown command</Text>\r\n</Error>\r\n"),
}


class Faults(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    rules: tuple[str, ...] = ()
    wordings: dict[str, Wording] = _WORDINGS

    @classmethod
    def parse(cls, text: bytes, homes: Container[str], now: float) -> Faults:
        del homes, now
        return cls.model_validate_json(text)

    def plan(self, home: Home, kind: str, number: int) -> Plan:
        del home, kind, number
        return Plan()

    def shown(self) -> Any:
        return json.loads(self.model_dump_json())
