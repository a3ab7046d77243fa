"""Each error's default message, and the tree of errors at the top of the module."""

from __future__ import annotations

import pytest

from eagle_logger import errors
from eagle_logger.errors import EagleError, RelayUnavailable

ERRORS = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, EagleError)
]


def test_the_tree_shows_every_error() -> None:
    tree = (errors.__doc__ or "").split()
    assert RelayUnavailable in ERRORS
    assert [error.__name__ for error in ERRORS if error.__name__ not in tree] == []


@pytest.mark.parametrize("error", ERRORS)
def test_the_default_message_is_one_line(error: type[EagleError]) -> None:
    message = str(error())
    assert message
    assert message == " ".join(message.split())
