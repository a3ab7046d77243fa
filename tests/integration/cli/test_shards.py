"""`eagle-logger shards` on a real Redis."""

from __future__ import annotations

from tests.integration.cli.commands import Cli


def test_the_number_of_shards_is_set_and_shown(cli: Cli) -> None:
    assert cli("shards", "show").output.startswith("not agreed on yet")
    assert cli("shards", "set", "32").output.startswith("32 shards")
    assert cli("shards", "show").output == "32\n"
    assert cli("shards", "set", "0").exit_code == 2
