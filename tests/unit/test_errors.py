"""What an error says when it is raised without words of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eagle_logger.errors import EagleError


def _all(error: type[EagleError]) -> Iterator[type[EagleError]]:
    yield error
    for one in error.__subclasses__():
        yield from _all(one)


@pytest.mark.parametrize("error", list(_all(EagleError)))
def test_what_it_says_by_itself_is_one_line(error: type[EagleError]) -> None:
    said = str(error())
    assert said
    assert said == " ".join(said.split())
