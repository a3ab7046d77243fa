"""The message that names the processes without a key."""

from __future__ import annotations

import pytest

from eagle_logger.errors import KeyNotKnown
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.known_keys import Note, refuse_unknown_key


def test_a_process_is_named_once_however_many_notes_it_wrote() -> None:
    notes: dict[str, Note] = {
        "dispatcher@one": {"at": 99, "keys": "0123456789abcdef", "by": "dispatcher"},
        "dispatch": {"at": 99, "keys": "0123456789abcdef", "by": "dispatcher"},
        "fetch-1": {"at": 99, "keys": "0123456789abcdef"},
        "long gone": {"at": 1, "keys": "0123456789abcdef"},
    }
    with pytest.raises(KeyNotKnown, match=r"^dispatcher, fetch-1: the first key"):
        refuse_unknown_key(Cipher([new_key()]), notes, 100.0, 15.0)
