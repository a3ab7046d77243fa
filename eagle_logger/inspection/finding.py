"""What a check found, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Grade(IntEnum):
    """The worst grade is also the exit code of `eagle-logger doctor`."""

    OK = 0
    LOOK = 1
    """Readings flow, but single homes, hours or processes need a hand."""
    WRONG = 2
    """Readings are lost or will be: nothing is fetched, or nothing can be kept."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found; `advice` says what to do when it is not well."""

    name: str
    grade: Grade
    found: str
    advice: str = ""

    @property
    def well(self) -> bool:
        return self.grade is Grade.OK

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "grade": self.grade.name.lower(),
            "well": self.well,
            "found": self.found,
            "advice": self.advice,
        }


def ok(name: str, found: str) -> CheckResult:
    return CheckResult(name, Grade.OK, found)


def look(name: str, found: str, advice: str) -> CheckResult:
    return CheckResult(name, Grade.LOOK, found, advice)


def wrong(name: str, found: str, advice: str) -> CheckResult:
    return CheckResult(name, Grade.WRONG, found, advice)
