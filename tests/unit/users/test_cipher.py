from __future__ import annotations

import pytest

from eagle_logger.core.users import Credentials
from eagle_logger.errors import ConfigurationError, NoSecretKey
from eagle_logger.users.cipher import Cipher, new_key

SOMEBODY = Credentials("00ce69", "somebody@example.org", "pässword, with 'all' \"sorts\"\\ of things")


def test_what_is_sealed_can_be_opened_and_not_be_read() -> None:
    cipher = Cipher([new_key()])
    sealed = cipher.seal(SOMEBODY)
    assert cipher.open("00ce69", sealed) == SOMEBODY
    assert "somebody" not in sealed
    assert cipher.seal(SOMEBODY) != sealed


def test_a_seal_holds_for_one_user() -> None:
    cipher = Cipher([new_key()])
    with pytest.raises(ValueError, match="belongs to another user"):
        cipher.open("00ce70", cipher.seal(SOMEBODY))


def test_any_key_opens_the_newest_seals() -> None:
    old, new = new_key(), new_key()
    by_old = Cipher([old]).seal(SOMEBODY)
    both = Cipher([new, old])
    by_both = both.seal(SOMEBODY)
    assert both.open("00ce69", by_old) == SOMEBODY
    assert (both.is_newest(by_old), both.is_newest(by_both)) == (False, True)
    assert Cipher([new]).open("00ce69", by_both) == SOMEBODY
    with pytest.raises(ValueError, match="none of the keys"):
        Cipher([new]).open("00ce69", by_old)


@pytest.mark.parametrize("nonsense", ["", "x", "gAAAAA==", "é" * 100, "\x00"])
def test_nonsense_is_not_opened(nonsense: str) -> None:
    cipher = Cipher([new_key()])
    assert not cipher.is_newest(nonsense)
    with pytest.raises(ValueError, match="none of the keys"):
        cipher.open("00ce69", nonsense)


def test_no_key_no_cipher() -> None:
    with pytest.raises(NoSecretKey, match="EAGLE_SECRET_KEYS is not set"):
        Cipher([])


def test_a_malformed_key_is_counted_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Cipher([new_key(), "nearly-a-key"], source="EAGLE_SECRET_KEYS_FILE (keys)")
    assert "EAGLE_SECRET_KEYS_FILE (keys): key 2 of 2 is not a Fernet key" in str(caught.value)
    assert "nearly-a-key" not in str(caught.value)
    assert caught.value.__context__ is None
