"""The commands and files in the documents."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from localcluster.paths import REPOSITORY

PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(REPOSITORY / name for name in ("images/README.md", "localcluster/README.md", "examples/local/README.md")),
    REPOSITORY / "charts/compression-operator/README.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
SHELL = ("console", "sh", "bash", "shell")
FILE_NAME = re.compile(r"# ([\w.-]+\.(?:yaml|py))\b")
"""First line of a block that is a file: `# values.yaml`, optionally with text after it."""


@dataclass(frozen=True)
class Block:
    """A fenced block below a heading; `line` is the line of its fence, from 1."""

    page: str
    section: str
    line: int
    language: str
    content: str


@dataclass(frozen=True)
class Command:
    """One command with its continuation lines, and its output in the document."""

    page: str
    section: str
    line: int
    text: str
    output: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class File:
    """A block that a reader saves under a name."""

    page: str
    section: str
    line: int
    name: str
    content: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, including those in lists."""
    name, section, heading = str(page.relative_to(REPOSITORY)), "", False
    for token in MarkdownIt().parse(page.read_text()):
        if heading:
            section = token.content
        heading = token.type == "heading_open"
        if token.type == "fence":
            assert token.map is not None
            yield Block(name, section, token.map[0] + 1, token.info.strip(), token.content)


def steps(page: Path) -> Iterator[Command | File]:
    """Yield the commands and files of a page in order."""
    for block in blocks(page):
        name = FILE_NAME.match(block.content)
        if block.language in SHELL:
            yield from _commands(block)
        elif name:
            yield File(block.page, block.section, block.line, name[1], block.content)


def commands(page: Path) -> list[Command]:
    """Return the commands of a page in order: lines after `$ ` in console blocks, all lines of sh blocks."""
    return [step for step in steps(page) if isinstance(step, Command)]


def _continues(text: str) -> bool:
    """Return whether a command continues: in a line, a loop or quotation marks."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        return True
    return text.endswith("\\") or words.count("do") > words.count("done")


def _commands(block: Block) -> Iterator[Command]:
    lines = enumerate(block.content.splitlines(), start=block.line + 1)
    number, text, output = 0, "", list[str]()
    for at, line in lines:
        begins = line.startswith("$ ") if block.language == "console" else bool(line.strip())
        if not begins:
            output.append(line)
            continue
        if text:
            yield Command(block.page, block.section, number, text, tuple(output))
        number, text, output = at, line.removeprefix("$ "), []
        while _continues(text):
            text = f"{text}\n{next(lines)[1]}"
    if text:
        yield Command(block.page, block.section, number, text, tuple(output))
