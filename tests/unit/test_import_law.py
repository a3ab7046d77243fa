"""The law of imports: docs/explanation/map.md against every import of every module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "map.md"
PACKAGES = ("eagle_logger", "workers")
LAYERS = (
    {"core"},
    {"rainforest", "users", "logs", "archive", "sns"},
    {"fetching", "rotation", "inspection"},
    {"wiring"},
    {"cli", "workers"},
)
"""Each imports only what stands above it. The table alone decides on everything else."""
OPEN_TO_WORKERS = {"cli/options"}
"""What `workers` may import of the layer that it shares with `cli`."""
INPUT_AND_OUTPUT = {"os", "socket", "time", "asyncio", "pathlib", "redis", "boto3", "httpx"}
PROCESS_LIBRARIES = {"celery", "kombu", "tornado"}
TERMINAL_LIBRARIES = {"click", "rich"}

_ROW = re.compile(r"^\| (`[^|]+`) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_NAME = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Law:
    """What the page allows. Names are spelled as there: folder `core/`, module `core/paths`."""

    rows: Mapping[str, frozenset[str]]
    exceptions: Mapping[str, frozenset[str]]

    def row_of(self, name: str) -> str | None:
        """The row of a module; None if there is none."""
        return next((row for row in (name, _folder_of(name)) if row in self.rows), None)

    def allows(self, module: str, imported: str) -> bool:
        row = self.row_of(module)
        if row is None:
            return False
        allowed = self.rows[row] | self.exceptions.get(module, frozenset()) | {row}
        return imported in allowed or _folder_of(imported) in allowed


def _folder_of(module: str) -> str:
    return module.rpartition("/")[0] + "/"


def _names_in(cell: str) -> frozenset[str]:
    return frozenset(_NAME.findall(cell))


def law_in(page: str) -> Law:
    rows, exceptions = page.split("## Exceptions")
    return Law(
        {name.strip("`"): _names_in(allowed) for name, _what, allowed in _ROW.findall(rows)},
        {name.strip("`"): _names_in(also) for name, also, _why in _ROW.findall(exceptions)},
    )


LAW = law_in(PAGE.read_text())


@cache
def _files_by_name() -> Mapping[str, Path]:
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {_page_name(str(file.relative_to(ROOT).with_suffix(""))): file for file in files}


def _page_name(path: str) -> str:
    return path.removeprefix("eagle_logger/")


INITS = [name for name in _files_by_name() if name.endswith("__init__")]
MODULES = [name for name in _files_by_name() if name not in {"__init__", "workers/__init__"}]
NOT_IN_WORKERS = [name for name in MODULES if not name.startswith("workers/")]


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports, anywhere in it. `from a import b` gives both `a` and `a.b`."""
    names: set[str] = set()
    for node in _nodes_of(module):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: an import relative to the folder"
            assert node.module
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def imported_modules(module: str) -> set[str]:
    """The modules of the two packages that a module imports."""
    return {
        _page_name(name.replace(".", "/")) for name in imports(module)
    } & _files_by_name().keys()


def breaches(module: str, imported: set[str], law: Law = LAW) -> set[str]:
    return {name for name in imported if not law.allows(module, name)}


def uses(module: str, libraries: set[str]) -> set[str]:
    return {name for name in imports(module) if name.partition(".")[0] in libraries}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_row_allows(module: str) -> None:
    assert LAW.row_of(module), f"{module} lies in no folder of docs/explanation/map.md"
    assert breaches(module, imported_modules(module)) == set(), "see docs/explanation/map.md"


def test_a_breach_would_be_found() -> None:
    assert breaches("core/paths", {"core/hours"}) == set()
    assert breaches("core/paths", {"core/hours", "clock", "wiring"}) == {"clock", "wiring"}
    assert breaches("fetching/visit", {"users/store", "users/cipher"}) == {"users/cipher"}
    assert breaches("fetching/visit", {"users/redis/store"}) == {"users/redis/store"}
    assert breaches("workers/drain", {"cli/options", "cli/rotate"}) == {"cli/rotate"}


def test_a_folder_in_a_folder_needs_a_row_of_its_own() -> None:
    assert LAW.row_of("core/deeper/paths") is None


def test_the_map_lists_what_there_is() -> None:
    folders = {_folder_of(name) for name in _files_by_name()} - {"/", "workers/"}
    roots = {name for name in MODULES if "/" not in name.removeprefix("workers/")}
    assert set(LAW.rows) == folders | roots


def test_what_may_be_imported_exists() -> None:
    named = frozenset().union(*LAW.rows.values(), *LAW.exceptions.values())
    assert {
        name for name in named if name not in LAW.rows and name not in _files_by_name()
    } == set()


@pytest.mark.parametrize("module", LAW.exceptions)
def test_an_exception_is_needed(module: str) -> None:
    without_exceptions = Law(LAW.rows, {})
    assert breaches(module, imported_modules(module), without_exceptions) == LAW.exceptions[module]


def test_an_init_file_imports_nothing() -> None:
    """It runs with every module of its folder, and the law looks at modules."""
    assert [name for name in INITS if imports(name)] == []


def test_the_table_keeps_the_layers() -> None:
    depth = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    for row, allowed in LAW.rows.items():
        room = row.partition("/")[0]
        others = {name.partition("/")[0] for name in allowed - OPEN_TO_WORKERS} - {room}
        if room in depth:
            assert {other for other in others if depth.get(other, -1) >= depth[room]} == set(), row


def test_nothing_in_eagle_logger_imports_workers() -> None:
    for module in NOT_IN_WORKERS:
        assert uses(module, {"workers"}) == set(), module


def test_the_table_has_no_circle() -> None:
    graph: TopologicalSorter[str] = TopologicalSorter()
    for row, allowed in LAW.rows.items():
        graph.add(row, *({LAW.row_of(name) or name for name in allowed} - {row}))
    graph.prepare()  # raises CycleError


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for annotations alone count, too."""
    TopologicalSorter({module: imported_modules(module) for module in MODULES}).prepare()


def test_only_workers_know_celery_and_tornado() -> None:
    for module in NOT_IN_WORKERS:
        assert uses(module, PROCESS_LIBRARIES) == set(), module


def test_core_neither_reads_nor_writes() -> None:
    for module in MODULES:
        if module.startswith("core/"):
            assert uses(module, INPUT_AND_OUTPUT) == set(), module


def test_only_commands_and_processes_print() -> None:
    for module in NOT_IN_WORKERS:
        if not module.startswith("cli/"):
            assert uses(module, TERMINAL_LIBRARIES) == set(), module
            assert {"print", "sys.stdout", "sys.stderr.write"} & _names_spelled_in(
                module
            ) == set(), module


def test_only_settings_read_the_environment() -> None:
    readers = {name for name in MODULES if {"os.environ", "os.getenv"} & _names_spelled_in(name)}
    assert {name for name in readers if not name.startswith("workers/up/")} <= {"settings"}


def _names_spelled_in(module: str) -> set[str]:
    """Every name of a module's code, alone and with its attributes: `sys`, `sys.stderr`."""
    named = (ast.Name, ast.Attribute)
    return {ast.unparse(node) for node in _nodes_of(module) if isinstance(node, named)}


def _nodes_of(module: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(_files_by_name()[module].read_text()))
