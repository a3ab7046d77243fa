from __future__ import annotations

from pathlib import Path

import pytest

from eagle_logger import wiring
from eagle_logger.core.users import Credentials
from eagle_logger.errors import ConfigurationError, NoSecretKey
from eagle_logger.settings import Settings
from eagle_logger.users.cipher import Cipher, new_key

CREDENTIALS = Credentials(
    "00ce69", "someone@example.org", "pässword, with 'all' \"sorts\"\\ of things"
)


def test_sealed_credentials_can_be_opened_and_not_read() -> None:
    cipher = Cipher([new_key()])
    sealed = cipher.seal(CREDENTIALS)
    assert cipher.open("00ce69", sealed) == CREDENTIALS
    assert "someone" not in sealed
    assert cipher.seal(CREDENTIALS) != sealed


def test_credentials_sealed_for_another_user_are_not_opened() -> None:
    cipher = Cipher([new_key()])
    with pytest.raises(ValueError, match="belongs to another user"):
        cipher.open("00ce70", cipher.seal(CREDENTIALS))


def test_any_key_opens_and_the_newest_seals() -> None:
    old, new = new_key(), new_key()
    by_old = Cipher([old]).seal(CREDENTIALS)
    both = Cipher([new, old])
    by_both = both.seal(CREDENTIALS)
    assert both.open("00ce69", by_old) == CREDENTIALS
    assert (both.is_newest(by_old), both.is_newest(by_both)) == (False, True)
    assert Cipher([new]).open("00ce69", by_both) == CREDENTIALS
    with pytest.raises(ValueError, match="none of the keys"):
        Cipher([new]).open("00ce69", by_old)


@pytest.mark.parametrize("nonsense", ["", "x", "gAAAAA==", "é" * 100, "\x00"])
def test_nonsense_is_not_opened(nonsense: str) -> None:
    cipher = Cipher([new_key()])
    assert not cipher.is_newest(nonsense)
    with pytest.raises(ValueError, match="none of the keys"):
        cipher.open("00ce69", nonsense)


def test_a_cipher_needs_a_key() -> None:
    with pytest.raises(NoSecretKey, match="EAGLE_SECRET_KEYS is not set"):
        Cipher([])


def test_a_malformed_key_is_named_by_its_number_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Cipher([new_key(), "nearly-a-key"], source="EAGLE_SECRET_KEYS_FILE (keys)")
    assert "EAGLE_SECRET_KEYS_FILE (keys): key 2 of 2 is not a Fernet key" in str(caught.value)
    assert "nearly-a-key" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "EAGLE_SECRET_KEYS"
    file.write_text(new_key())
    return file


@pytest.fixture
def cipher_of_file(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Cipher:
    monkeypatch.setattr("eagle_logger.users.cipher.READ_KEYS_EVERY_S", 0.0)
    return wiring.cipher(Settings(secret_keys_file=key_file))


def test_a_key_added_to_the_file_is_known_after_a_refresh(
    key_file: Path, cipher_of_file: Cipher
) -> None:
    old, new = key_file.read_text(), new_key()
    key_file.write_text(f"{new}\n{old}\n")
    assert cipher_of_file.refresh()
    assert cipher_of_file.is_newest(Cipher([new]).seal(CREDENTIALS))
    assert cipher_of_file.fingerprints == Cipher([new, old]).fingerprints
    assert not cipher_of_file.refresh()


def test_a_key_removed_from_the_file_still_opens_but_no_longer_seals(
    key_file: Path, cipher_of_file: Cipher
) -> None:
    by_old = cipher_of_file.seal(CREDENTIALS)
    new = new_key()
    key_file.write_text(new)
    assert cipher_of_file.refresh()
    assert cipher_of_file.open("00ce69", by_old) == CREDENTIALS
    assert Cipher([new]).open("00ce69", cipher_of_file.seal(CREDENTIALS)) == CREDENTIALS


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 44, b"half-a-key", None], ids=["empty", "zeroed", "torn", "gone"]
)
def test_a_damaged_key_file_changes_no_key(
    key_file: Path, cipher_of_file: Cipher, content: bytes | None
) -> None:
    sealed = cipher_of_file.seal(CREDENTIALS)
    if content is None:
        key_file.unlink()
    else:
        key_file.write_bytes(content)
    assert not cipher_of_file.refresh()
    assert cipher_of_file.open("00ce69", sealed) == CREDENTIALS


def test_keys_from_a_directory_of_secrets_are_read_again(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eagle_logger.users.cipher.READ_KEYS_EVERY_S", 0.0)
    cipher = wiring.cipher(Settings(secrets_dir=key_file.parent, secret_keys=key_file.read_text()))
    key_file.write_text(f"{new_key()},{key_file.read_text()}")
    assert cipher.refresh()


def test_keys_from_the_environment_stay_as_they_are(key_file: Path) -> None:
    cipher = wiring.cipher(Settings(secrets_dir=key_file.parent, secret_keys=new_key()))
    assert not cipher.refresh()
    assert len(cipher.fingerprints) == 1


def test_the_key_file_is_read_at_most_once_a_second(key_file: Path) -> None:
    cipher = wiring.cipher(Settings(secret_keys_file=key_file))
    assert not cipher.refresh()
    key_file.write_text(new_key())
    assert not cipher.refresh()
