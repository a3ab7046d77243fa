"""The pages say what is true of the command line, the settings, the services and each other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from eagle_logger.cli.main import main
from eagle_logger.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [page for page in PAGES if page.name not in {"commands.md", "settings.md"}]
COMMAND = re.compile(r"(?<![\w./])eagle-logger (?=[a-z-])([^`|;&<>\n#…)]+)")
OPTION = re.compile(r"--[a-z][a-z-]*|-[a-zA-Z]\b")
VARIABLE = re.compile(rf"\b{PREFIX}[A-Z0-9_]+")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]*))?\)")
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
TARGET = re.compile(r"^(?:\$ |# )?make ([a-z-]+)", re.MULTILINE)
COMPOSE = re.compile(r"docker compose\b[^\n|;&`]*? (?:exec|restart|stop|logs|run|rm)\b([^\n|;&`]*)")
NONSENSE = {f"{PREFIX}ARCHIV_URL", PREFIX.rstrip("_")}
"""What stands in a page as an example of a mistake."""


def identified(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code(page: Path) -> str:
    """What stands in a page as something to type or to read, a snippet a line."""
    text = page.read_text()
    return "\n".join([*FENCE.findall(text), *INLINE.findall(FENCE.sub("", text))])


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that these words call, and the words left for it. Raises KeyError if there is none."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            raise KeyError(words[0])
        command, words = found, words[1:]
    return command, words


def known_options(command: click.Command) -> set[str]:
    return {"--help", *(spelling for parameter in command.params for spelling in (*parameter.opts, *parameter.secondary_opts))}


def mistakes_in(line: str) -> Iterator[str]:
    try:
        command, rest = resolved(shlex.split(line.replace("'", "").replace('"', "")))
    except KeyError as unknown:
        yield f"eagle-logger {line}: there is no {unknown}"
        return
    unknown_options = set(OPTION.findall(" ".join(word for word in rest if word.startswith("-")))) - known_options(command)
    yield from (f"eagle-logger {line}: there is no {option}" for option in unknown_options)


def test_what_is_wrong_would_be_found() -> None:
    assert list(mistakes_in("users add 00ce69 --email you@example.org")) == []
    assert len(list(mistakes_in("users bdd 00ce69"))) == 1
    assert len(list(mistakes_in("rotate --includeopen"))) == 1


@pytest.mark.parametrize("page", WRITTEN, ids=identified)
def test_commands_and_their_options_exist(page: Path) -> None:
    called = [line.strip() for line in COMMAND.findall(code(page))]
    assert [mistake for line in called for mistake in mistakes_in(line)] == []


def test_there_are_commands_to_look_at() -> None:
    assert sum(len(COMMAND.findall(code(page))) for page in WRITTEN) > 60


@pytest.mark.parametrize("page", [*WRITTEN, ROOT / ".env.example"], ids=identified)
def test_settings_exist(page: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(VARIABLE.findall(page.read_text())) - known - NONSENSE == set()


@pytest.mark.parametrize("page", PAGES, ids=identified)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if not target.startswith(("http://", "https://")):
            found = page.parent / target
            assert found.exists(), target
            assert not anchor or anchor in anchors(found), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / target).resolve() for target, _ in LINK.findall(index.read_text())}
    assert {page for page in PAGES if page.is_relative_to(index.parent) and page != index} <= listed


def test_make_has_what_is_made() -> None:
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {target for page in PAGES for target in TARGET.findall(code(page))} <= there


def test_compose_has_the_services_that_are_named() -> None:
    files = (ROOT / "docker-compose.yml", ROOT / "docker-compose.override.yml")
    there = {name for file in files for name in re.findall(r"^  ([a-z0-9]+):", file.read_text(), re.MULTILINE)}
    for page in PAGES:
        for rest in COMPOSE.findall(code(page)):
            typed = re.sub(r"--name \S+|#.*", "", rest)
            words = [word for word in typed.split() if not word.startswith("-") and not word.isdecimal()]
            assert not words or words[0] in there, rest
