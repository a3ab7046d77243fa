"""What others said, shown to a person."""

from __future__ import annotations


def harmless(text: str) -> str:
    """What a gateway said, fit for a line on a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
