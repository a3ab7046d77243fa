"""The simulated relay and the real client must not be able to agree on the same mistake: they share
nothing but the list of kinds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "eagle_logger"
SIMULATED_RELAY = sorted(
    file for file in (PACKAGE / "simulator").rglob("*.py") if file.parent.name != "s3"
)
REAL_CLIENT = sorted((PACKAGE / "rainforest").rglob("*.py"))


def ours(file: Path) -> set[str]:
    return set(
        re.findall(r"^\s*(?:from|import) (eagle_logger[.\w]*)", file.read_text(), re.MULTILINE)
    )


@pytest.mark.parametrize("file", SIMULATED_RELAY, ids=lambda file: file.stem)
def test_the_simulated_relay_knows_only_itself_the_kinds_and_the_clock(file: Path) -> None:
    assert {
        name
        for name in ours(file)
        if not re.match(r"eagle_logger\.(simulator(?!\.s3)|core\.kinds$|clock$)", name)
    } == set()


@pytest.mark.parametrize("file", REAL_CLIENT, ids=lambda file: file.stem)
def test_the_real_client_knows_no_simulator(file: Path) -> None:
    assert {name for name in ours(file) if name.startswith("eagle_logger.simulator")} == set()
