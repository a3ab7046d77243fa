"""The pages say what is true of the command line, the settings, the services and each other."""

from __future__ import annotations

import pkgutil
import re
import shlex
import tokenize
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from eagle_logger.cli.main import ENTRY_POINTS, main
from eagle_logger.settings import PREFIX, Settings
from tests.support.pages import ROOT, pages

PAGES = [ROOT / page for page in pages()]
WRITTEN = [page for page in PAGES if page.name not in {"commands.md", "settings.md"}]
COMMAND = re.compile(r"(?<![\w./])eagle-logger (?=[a-z-])([^`|;&<>\n#…)]+)")
OPTION = re.compile(r"--[a-z][a-z-]*|-[a-zA-Z]\b")
VARIABLE = re.compile(rf"\b{PREFIX}[A-Z0-9_]+")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]*))?\)")
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
TARGET = re.compile(r"^(?:\$ |# )?make ([a-z-]+)", re.MULTILINE)
COMPOSE = re.compile(r"docker compose\b[^\n|;&`]*? (?:exec|restart|stop|logs|run|rm)\b([^\n|;&`]*)")
FILE = re.compile(r"(?<![\w/.<-])((?:[\w.-]+/)+(?:[\w-]+\.(?:py|lua|md))?)(?![\w/<])")
"""A file in a folder, or a folder with a slash at its end."""
FOLDERS = ("", "eagle_logger", "workers", "tests")
"""Where the paths in pages and comments begin, besides the folder of the text itself."""
MODULE = re.compile(r"(?<![\w/.-])(?:eagle_logger|workers|tests|benchmarks)(?:\.[A-Za-z_]\w*)+")
NONSENSE = {f"{PREFIX}ARCHIV_URL", PREFIX.rstrip("_")}
"""Examples of a mistake in a page."""


def identified(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code(page: Path) -> str:
    """The page's snippets to type or to read: its fenced blocks and what stands in backticks."""
    text = page.read_text()
    return "\n".join([*FENCE.findall(text), *INLINE.findall(FENCE.sub("", text))])


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that these words call, and the words left for it. Raises KeyError if there is
    none."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        child = command.get_command(click.Context(command), words[0])
        if child is None:
            raise KeyError(words[0])
        command, words = child, words[1:]
    return command, words


def known_options(command: click.Command) -> set[str]:
    return {
        "--help",
        *(
            spelling
            for parameter in command.params
            for spelling in (*parameter.opts, *parameter.secondary_opts)
        ),
    }


def mistakes_in(line: str) -> Iterator[str]:
    try:
        command, rest = resolved(shlex.split(line.replace("'", "").replace('"', "")))
    except KeyError as exc:
        yield f"eagle-logger {line}: there is no {exc}"
        return
    unknown_options = set(
        OPTION.findall(" ".join(word for word in rest if word.startswith("-")))
    ) - known_options(command)
    yield from (f"eagle-logger {line}: there is no {option}" for option in unknown_options)


def test_wrong_commands_and_options_would_be_found() -> None:
    assert list(mistakes_in("users add 00ce69 --email you@example.org")) == []
    assert len(list(mistakes_in("users bdd 00ce69"))) == 1
    assert len(list(mistakes_in("rotate --includeopen"))) == 1


@pytest.mark.parametrize("page", WRITTEN, ids=identified)
def test_commands_and_their_options_exist(page: Path) -> None:
    called = [line.strip() for line in COMMAND.findall(code(page))]
    assert [mistake for line in called for mistake in mistakes_in(line)] == []


def test_the_pages_are_searched_for_commands() -> None:
    assert sum(len(COMMAND.findall(code(page))) for page in WRITTEN) > 60


@pytest.mark.parametrize("page", [*WRITTEN, ROOT / ".env.example"], ids=identified)
def test_settings_exist(page: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(VARIABLE.findall(page.read_text())) - known - NONSENSE == set()


@pytest.mark.parametrize("page", PAGES, ids=identified)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if not target.startswith(("http://", "https://")):
            file = page.parent / target
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / target).resolve() for target, _ in LINK.findall(index.read_text())}
    assert {page for page in PAGES if page.is_relative_to(index.parent) and page != index} <= listed


def test_every_make_target_of_a_page_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {target for page in PAGES for target in TARGET.findall(code(page))} <= targets


def test_every_compose_service_of_a_page_exists() -> None:
    files = (ROOT / "docker-compose.yml", ROOT / "docker-compose.override.yml")
    services = {
        name
        for file in files
        for name in re.findall(r"^  ([a-z0-9]+):", file.read_text(), re.MULTILINE)
    }
    for page in PAGES:
        for rest in COMPOSE.findall(code(page)):
            typed = re.sub(r"--name \S+|#.*", "", rest)
            words = [
                word for word in typed.split() if not word.startswith("-") and not word.isdecimal()
            ]
            assert not words or words[0] in services, rest


def is_there(path: str, beside: Path) -> bool:
    return any((folder / path).exists() for folder in (beside, *(ROOT / name for name in FOLDERS)))


def is_importable(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def files_in(text: str) -> list[str]:
    """The sources, pages and folders of the repository that the text names. A folder is named from
    the root."""
    return [
        path
        for path in FILE.findall(text)
        if not path.endswith("/") or path.split("/")[0] in FOLDERS
    ]


@pytest.mark.parametrize("page", PAGES, ids=identified)
def test_files_and_modules_exist(page: Path) -> None:
    typed = code(page)
    assert [path for path in files_in(typed) if not is_there(path, page.parent)] == []
    assert [
        name for name in MODULE.findall(typed) if not is_importable(name) and name != ENTRY_POINTS
    ] == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "docs/explanation/patterns.md"])
def test_the_pages_that_name_files_are_searched_for_them(name: str) -> None:
    assert len(files_in(code(ROOT / name))) >= 5


def test_files_that_moved_would_be_found() -> None:
    page = (
        "`core/moments.py`, `eagle_logger/core/schedule.py`, `users/redis/scripts/common.lua`, "
        "`tests/faults/`, `data/logs/`"
    )
    assert len(files_in(page)) == 4
    assert [path for path in files_in(page) if not is_there(path, ROOT)] == ["core/moments.py"]
    assert not is_importable("eagle_logger.core.moments")
    assert is_importable("eagle_logger.core.schedule.pause_after_failures")


def comments(file: Path) -> str:
    """The comments and docstrings of a file of Python or Lua."""
    text = file.read_text()
    if file.suffix == ".lua":
        return "\n".join(re.findall(r"--.*", text))
    with file.open("rb") as stream:
        tokens = list(tokenize.tokenize(stream.readline))
    kept = (tokenize.COMMENT, tokenize.STRING)
    return "\n".join(
        token.string
        for token in tokens
        if token.type in kept and token.string.startswith(("#", '"""'))
    )


def test_files_that_comments_name_exist() -> None:
    sources = [
        file
        for folder in ("eagle_logger", "workers", "tests", "benchmarks", "docs", "docker")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in {".py", ".lua"}
    ]
    gone = [
        f"{identified(file)}: {path}"
        for file in [*sources, ROOT / "beat_schedule.py"]
        for path in files_in(comments(file))
        if not is_there(path, file.parent)
    ]
    assert gone == []


NAMES_PRICES_BUT_NO_READING = {
    "eagle_logger/core/table_columns.py": "types of columns; a new kind's derive from its row",
    "eagle_logger/rainforest/decoding/root_elements.py": "notifications that carry no reading",
    "eagle_logger/users/redis/encoding.py": "a dictionary that must stay as it is",
}


def test_the_places_of_a_kind_are_listed() -> None:
    """Outside the simulator, a module that names the kind `price` is a place that a new kind
    touches. CONTRIBUTING.md lists just these. (`tests/integration/test_made_up_kind.py` compares
    its list with what a new kind needs, the simulator included.)"""
    section = (
        (ROOT / "CONTRIBUTING.md")
        .read_text()
        .partition("### A kind of reading\n")[2]
        .partition("\n### ")[0]
    )
    simulator = ROOT / "eagle_logger" / "simulator"
    naming = {
        identified(file)
        for file in (ROOT / "eagle_logger").rglob("*.py")
        if names_price(file) and not file.is_relative_to(simulator)
    }
    listed = set(re.findall(r"`(eagle_logger/[\w/]+\.py)`", section))
    assert naming - NAMES_PRICES_BUT_NO_READING.keys() == {
        name for name in listed if not (ROOT / name).is_relative_to(simulator)
    }


def names_price(file: Path) -> bool:
    """Whether the code of a file, its docstrings and comments apart, names the kind."""
    with file.open("rb") as stream:
        tokens = list(tokenize.tokenize(stream.readline))
    words = [token.string for token in tokens if token.type in {tokenize.NAME, tokenize.STRING}]
    return any("price" in word.lower() for word in words if not word.startswith('"""'))
