"""The programs, subcommands, flags, targets, files and links in the documents exist.

`make test-docs` runs the commands (tests/docs).
"""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
import yaml
from markdown_it import MarkdownIt

from compression_runner.__main__ import parser as runner_parser
from compressionjob.spec import parse_job
from kubectl_compress import options
from localcluster import tools
from localcluster.command import run
from localcluster.paths import REPOSITORY
from tests.support.console_blocks import PAGES, Command, blocks, commands

COMMANDS: Final = [command for page in PAGES for command in commands(page)]
OTHERS: Final = {"aws", "do", "done", "echo", "export", "for", "gh", "grep", "jq", "openssl", "pipx", "python3", "sed"}
"""Programs and shell keywords whose arguments are not checked."""
OWN_PATHS: Final = ("charts/", "docs/", "examples/", "images/", "tests/")
KUBECTL_NOUNS: Final = (
    "can-i",
    "whoami",
    "secret",
    "generic",
    "rolebinding",
    "clusterrolebinding",
    "configmap",
    "pods",
    "nodes",
)
"""Second words of kubectl's commands with flags of their own."""
WRITTEN: Final = ("examples/local/data",)
"""Files that the commands write."""


def simple_commands(text: str) -> Iterator[list[str]]:
    """Return the single commands of a line as words: in pipes, lists and loops."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;"):
            yield words
            words = []
        elif word.startswith("#"):
            break
        else:
            words.append(word)
    yield words


@cache
def flags(program: str, *verb: str) -> frozenset[str]:
    """Return the flags of a subcommand, from its help."""
    path = {"kubectl": tools.kubectl, "helm": tools.helm}[program]()
    text = run([path, *verb, "--help"]) + (run([path, "options"]) if program == "kubectl" else "")
    return frozenset(re.findall(r"(?<![\w-])--?[\w][\w-]*", text))


def check_flags(program: str, words: Sequence[str], subcommands: Sequence[str] = ()) -> None:
    """Return the flags that a subcommand does not have."""
    verbs = [word for word in words if not word.startswith("-")]
    # The value of `-n NAMESPACE` before the verb is not a verb.
    verb = next((word for word in verbs if word.islower() and "/" not in word and "-system" not in word), "")
    known = flags(program, verb, *[word for word in verbs if word in subcommands])
    unknown = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"} - known - {"--"}
    assert not unknown, f"{program} {verb} has no {', '.join(sorted(unknown))}"


def kubectl(words: Sequence[str]) -> None:
    if words[0] == "compress":
        options.parser("0").parse_args(words[1:]) if "--help" not in words else None
    else:
        check_flags(
            "kubectl",
            words,
            ("can-i", "whoami", "secret", "generic", "rolebinding", "clusterrolebinding", "configmap", "pods", "nodes"),
        )


def make(words: Sequence[str]) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in words if "=" not in word} <= targets


def python(words: Sequence[str]) -> None:
    assert words[0] == "-m"
    assert find_spec(words[1])


def docker(words: Sequence[str]) -> None:
    if words[0] == "build":
        recipe = (REPOSITORY / words[words.index("-f") + 1]).read_text()
        given = [words[at + 1].partition("=")[0] for at, word in enumerate(words) if word == "--build-arg"]
        assert set(given) <= set(re.findall(r"^ARG (\w+)", recipe, re.MULTILINE))
    else:
        assert words[0] == "push"


CHECKS: Final[dict[str, Callable[[Sequence[str]], object]]] = {
    "kubectl": kubectl,
    "helm": lambda words: check_flags("helm", words),
    "make": make,
    "python": python,
    "docker": docker,
    "compression-runner": lambda words: runner_parser().parse_args(words),
}


def test_make_help_lists_every_described_target() -> None:
    described = re.findall(r"^(\S+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    printed = run(["make", "--no-print-directory", "-C", REPOSITORY, "help"]).splitlines()
    assert [line.split()[0] for line in printed] == described


def test_the_documents_have_commands() -> None:
    assert len(COMMANDS) > 100
    assert {command.text.split()[0] for command in COMMANDS} >= set(CHECKS)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_can_be_typed(command: Command) -> None:
    for words in simple_commands(command.text):
        if not words or "=" in words[0]:
            continue
        program = words[0].rpartition("/")[2]
        assert program in CHECKS or program in OTHERS, f"what is {program}?"
        if program in CHECKS:
            CHECKS[program](words[1:])
        for word in words[1:]:
            if word.startswith(OWN_PATHS) and not word.startswith(WRITTEN):
                assert (REPOSITORY / word.partition("::")[0]).exists(), word


def manifests() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "yaml" and "kind: CompressionJob" in block.content:
                yield f"{block.page}:{block.line}", block.content


@pytest.mark.parametrize(("place", "text"), [*manifests()], ids=lambda value: value.split("\n")[0])
def test_a_job_in_a_document_is_valid(place: str, text: str) -> None:
    for manifest in yaml.safe_load_all(text):
        if manifest["kind"] == "CompressionJob" and manifest["spec"] != "...":
            parse_job(manifest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_have_targets(page: Path) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        place = (page.parent / name) if name else page
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place), target


def links(page: Path) -> Iterator[str]:
    """Return links and images to this repository."""
    for token in MarkdownIt().parse(page.read_text()):
        for child in token.children or []:
            target = str(child.attrs.get("href") or child.attrs.get("src") or "")
            if target and not re.match(r"[a-z]+:", target):
                yield target


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as on GitHub."""
    tokens = MarkdownIt().parse(page.read_text())
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain)
