"""What an error says when it is raised without words of its own."""

from __future__ import annotations

import pytest

from eagle_logger import errors
from eagle_logger.errors import EagleError, RelayUnavailable

ALL = [
    one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, EagleError)
]


def test_the_whole_tree_is_looked_at() -> None:
    assert {EagleError, RelayUnavailable} < set(ALL)


@pytest.mark.parametrize("error", ALL)
def test_what_it_says_by_itself_is_one_line(error: type[EagleError]) -> None:
    said = str(error())
    assert said
    assert said == " ".join(said.split())
