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


def test_the_unit_opens_nothing_of_the_machine_but_its_directory_and_the_network() -> None:
    settings = unit()
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["ReadWritePaths"] == settings["WorkingDirectory"]
    assert settings["CapabilityBoundingSet"] == [""]
    assert (
        settings["NoNewPrivileges"]
        == settings["PrivateDevices"]
        == settings["ProtectHome"]
        == ["true"]
    )
    assert settings["UMask"] == ["0077"]
    assert settings["LimitCORE"] == ["0"]


def test_supervisord_may_set_the_owner_of_its_socket() -> None:
    """It does so even where nothing changes, and ends if it may not."""
    assert unit()["SystemCallFilter"] == ["@system-service", "~@privileged", "@chown"]
