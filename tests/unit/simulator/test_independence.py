"""The simulated relay and the real client share nothing but the list of kinds; otherwise they could
agree on the same mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "eagle_logger"
SIMULATED_RELAY = sorted(
    file for file in (PACKAGE / "simulator").rglob("*.py") if file.parent.name != "s3"
)
REAL_CLIENT = sorted((PACKAGE / "rainforest").rglob("*.py"))


def imports_of(file: Path) -> set[str]:
    return set(
        re.findall(r"^\s*(?:from|import) (eagle_logger[.\w]*)", file.read_text(), re.MULTILINE)
    )


@pytest.mark.parametrize("file", SIMULATED_RELAY, ids=lambda file: file.stem)
def test_the_simulated_relay_imports_only_itself_the_kinds_and_the_clock(file: Path) -> None:
    assert {
        name
        for name in imports_of(file)
        if not re.match(r"eagle_logger\.(simulator(?!\.s3)|core\.kinds$|clock$)", name)
    } == set()


@pytest.mark.parametrize("file", REAL_CLIENT, ids=lambda file: file.stem)
def test_the_real_client_imports_no_simulator(file: Path) -> None:
    assert {name for name in imports_of(file) if name.startswith("eagle_logger.simulator")} == set()
