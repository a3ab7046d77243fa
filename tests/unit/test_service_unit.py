"""The systemd unit of the page about installing: what it must keep (`.ci/run` has systemd judge all
of it)."""

from __future__ import annotations

from tests.support.pages import Page


def unit() -> dict[str, list[str]]:
    settings: dict[str, list[str]] = {}
    with Page("docs/how-to/install.md", "ini") as page:
        lines = page.next("[Unit]").splitlines()
    for line in lines:
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
