"""A newcomer finds the room: names of modules are unique, and the root folders are short."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import click
import pytest

from eagle_logger.cli.main import main

ROOT = Path(__file__).parents[2]
PACKAGES = ("eagle_logger", "workers")
SHARED_NAMES = {
    "app": "the Celery app; the server's",
    "archive": "the folder; the port of its adapters",
    "cli": "the commands of each package",
    "decode": "a command; what it runs",
    "doctor": "a command; what it runs",
    "faults": "the faults of each stand-in",
    "fleet": "the adapters of a port",
    "health": "what it means; the routes that answer with it",
    "memory": "adapters of two ports",
    "notifications": "the real ones; a stand-in's",
    "relay": "the real one's client; its stand-in",
    "s3": "an adapter; its stand-in",
    "schedule": "what core decides; the adapters of a port",
    "energy": "the decisions in core; the command",
    "gaps": "the decisions in core; the command",
    "server": "the HTTP server; a stand-in's",
    "sns": "the folder; the route of the server",
    "store": "the port; its adapters",
    "tables": "the folder; the command",
    "users": "the folder; a user in core; the command; the routes of the server",
}
"""The names that several modules or folders may have, because the folder says which is which."""
MOST_IN_ROOT = {"eagle_logger": 8, "workers": 6}


def names() -> Counter[str]:
    """Every module and folder, by its own name."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*")]
    modules = [path.stem for path in paths if path.suffix == ".py" and path.stem[:2] != "__"]
    return Counter(modules + [path.name for path in paths if (path / "__init__.py").exists()])


def test_no_two_modules_have_one_name_unless_the_folder_says_which() -> None:
    assert {name for name, count in names().items() if count > 1} == set(SHARED_NAMES)


def test_no_two_classes_have_one_name() -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    classes = Counter(
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert len(classes) > 200
    assert [name for name, count in classes.items() if count > 1] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_root_is_short(package: str) -> None:
    modules = [file for file in (ROOT / package).glob("*.py") if not file.stem.startswith("__")]
    assert 0 < len(modules) <= MOST_IN_ROOT[package]


def test_a_command_lies_in_a_module_of_its_name() -> None:
    context = click.Context(main)
    modules = {
        name: _module_of(main.get_command(context, name)) for name in main.list_commands(context)
    }
    assert len(modules) > 15
    for command, module in modules.items():
        words = module.replace("_and_", ".").split(".")
        assert command.replace("-", "_") in words, f"{command} lies in {module}"


def _module_of(command: click.Command | None) -> str:
    assert command is not None
    assert command.callback is not None
    return command.callback.__module__
