"""The systemd unit of the page about installing: what it must keep (`.ci/run` has systemd judge all of it)."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "install.md"


def unit() -> dict[str, list[str]]:
    found = re.search(r"```ini\n(\[Unit\].*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    settings: dict[str, list[str]] = {}
    for line in found[1].splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(name, []).append(value)
    return settings


def test_nothing_of_the_machine_is_open_to_it_but_its_directory_and_the_network() -> None:
    one = unit()
    assert one["ProtectSystem"] == ["strict"]
    assert one["ReadWritePaths"] == one["WorkingDirectory"]
    assert one["CapabilityBoundingSet"] == [""]
    assert one["NoNewPrivileges"] == one["PrivateDevices"] == one["ProtectHome"] == ["true"]
    assert one["UMask"] == ["0077"]
    assert one["LimitCORE"] == ["0"]


def test_supervisord_may_set_the_owner_of_its_socket() -> None:
    """It does so even where nothing changes, and ends if it may not."""
    assert unit()["SystemCallFilter"] == ["@system-service", "~@privileged", "@chown"]
