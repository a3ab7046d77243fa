"""The law of imports: who may know whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "eagle_logger"
ADAPTERS = ("rainforest", "users", "logs", "archive")
SHARED = {"eagle_logger.core", "eagle_logger.errors", "eagle_logger.clock", "eagle_logger.network.tls"}
PROTOCOLS = {
    "eagle_logger.rainforest.source",
    "eagle_logger.users.store",
    "eagle_logger.archive.archive",
    "eagle_logger.logs.folder",
}


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"nothing to check in {folder}"
    return found


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def ours(file: Path) -> set[str]:
    return {name for name in imports(file) if name.startswith("eagle_logger.")}


@pytest.mark.parametrize("file", modules(PACKAGE / "core"), ids=lambda file: file.stem)
def test_core_knows_only_itself(file: Path) -> None:
    assert {name for name in ours(file) if not within(name, {"eagle_logger.core"})} == set()
    assert not set(imports(file)) & {"os", "socket", "time", "asyncio", "pathlib", "redis", "boto3", "httpx"}


@pytest.mark.parametrize("room", ADAPTERS)
def test_adapters_know_core_errors_and_their_own_room(room: str) -> None:
    for file in modules(PACKAGE / room):
        strangers = {name for name in ours(file) if not within(name, SHARED | {f"eagle_logger.{room}"})}
        assert strangers == set(), f"{file.name} imports {strangers}"


@pytest.mark.parametrize("name", ["logger", "fetching/visit", "rotation/rotate_shard"])
def test_the_cycle_and_rotation_know_protocols_not_adapters(name: str) -> None:
    adapters = {f"eagle_logger.{room}" for room in ADAPTERS}
    known = {one for one in ours(PACKAGE / f"{name}.py") if within(one, adapters)}
    assert {one for one in known if not within(one, PROTOCOLS | {"eagle_logger.logs.receipt"})} - adapters == set()


def test_only_workers_know_celery_and_tornado() -> None:
    for file in modules(PACKAGE):
        assert not [name for name in imports(file) if within(name, {"celery", "kombu", "tornado", "workers"})], file


def test_only_settings_read_the_environment() -> None:
    readers = {
        str(file.relative_to(ROOT))
        for file in [*modules(PACKAGE), *modules(ROOT / "workers")]
        if any(name in {"os.environ", "os.getenv"} for name in _attributes(file))
    }
    assert readers <= {"eagle_logger/settings.py"} | {str(file.relative_to(ROOT)) for file in modules(ROOT / "workers" / "up")}


def _attributes(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
