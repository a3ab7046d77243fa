"""The result of one check of `eagle-logger doctor`: its grade, what it found, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self


class Grade(IntEnum):
    """The worst grade is also the exit code of `eagle-logger doctor`."""

    OK = 0
    LOOK = 1
    """Readings flow, but single homes, hours or processes need a hand."""
    WRONG = 2
    """Readings are lost or will be: nothing is fetched, or nothing can be kept."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    name: str
    grade: Grade
    found: str
    advice: str = ""
    """What to do; empty if the grade is OK."""

    @classmethod
    def ok(cls, name: str, found: str) -> Self:
        return cls(name, Grade.OK, found)

    @classmethod
    def look(cls, name: str, found: str, advice: str) -> Self:
        return cls(name, Grade.LOOK, found, advice)

    @classmethod
    def wrong(cls, name: str, found: str, advice: str) -> Self:
        return cls(name, Grade.WRONG, found, advice)

    @property
    def is_ok(self) -> bool:
        return self.grade is Grade.OK

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "grade": self.grade.name.lower(),
            "well": self.is_ok,
            "found": self.found,
            "advice": self.advice,
        }
