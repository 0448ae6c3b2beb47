"""What the documents say can be done: commands have these options, links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import training.cli
from kpcn_core.cli.main import main

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*.md")])
PROGRAMS: dict[str, click.Group] = {"kpcn": main, "kpcn-train": training.cli.main}
# An ellipsis, a choice or a placeholder says that the line is no command to type.
SCHEMATIC = re.compile(r"…|\.\.\.")
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
PICTURES = 1_500_000  # bytes, all of them


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(page: Path) -> Iterator[list[str]]:
    """Every line of a plain block of code that calls a program of ours, as a shell splits it."""
    blocks = [block for language, block in BLOCK.findall(page.read_text("utf-8")) if not language]
    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        words = line.rpartition("→")[2].strip()
        if words.split(" ")[0] in PROGRAMS and not SCHEMATIC.search(words):
            yield shlex.split(words, comments=True)


def options(command: click.Command) -> set[str]:
    return {"--help"}.union(*(param.opts + param.secondary_opts for param in command.params))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_have_these_options(page: Path) -> None:
    for program, *words in commands(page):
        group = PROGRAMS[program]
        if not words or words[0] == "--help":
            continue
        command = group.get_command(click.Context(group), words[0])
        assert command, f"{name(page)}: {program} has no command '{words[0]}'"
        if isinstance(command, click.Group):
            command = command.commands[words[1]]
        own = words[: words.index("--")] if "--" in words else words
        used = {word.partition("=")[0] for word in own if re.match(r"--?[a-zA-Z]", word)}
        unknown = used - options(command)
        assert not unknown, f"{name(page)}: {program} {words[0]} has no {', '.join(unknown)}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_what_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name(page)}: {target}"


def test_every_page_can_be_found() -> None:
    known = "".join((ROOT / index).read_text("utf-8") for index in ("README.md", "docs/README.md"))
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert [page for page in pages if not re.search(rf"[(/]{re.escape(page)}\)", known)] == []


def test_pictures_are_few_bytes_and_all_are_shown() -> None:
    pictures = list((ROOT / "docs" / "figures").iterdir())
    assert sum(each.stat().st_size for each in pictures) < PICTURES
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert [each.name for each in pictures if each.name not in text] == []
