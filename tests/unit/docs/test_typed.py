"""Tools of `make test-docs`: the terminal, and the comparison of output with a page."""

import os
from pathlib import Path

import pytest

from tests.docs.printed import missing
from tests.docs.terminal import Terminal, Typed
from tests.docs.test_pages import differences, merged
from tests.support.console_blocks import Command


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, tmp_path, {"PATH": os.environ["PATH"], "TERM": "dumb"})


def test_variables_folder_and_status_are_kept_between_commands(terminal: Terminal) -> None:
    with terminal:
        assert terminal.type("export WORD=kept && mkdir there && cd there && false", 30).status == 1
        assert terminal.type('echo "$? $WORD ${PWD##*/}"', 30) == Typed(0, "1 kept there\n")


def test_a_question_is_answered_with_yes(terminal: Terminal) -> None:
    with terminal:
        assert "y it is" in terminal.type('read -r -p "it? [y/N] " word; echo "$word it is"', 30).shown


def test_a_watching_command_is_stopped_when_its_output_is_complete(terminal: Terminal) -> None:
    with terminal:
        watched = terminal.type("echo begun; sleep 600", 30, lambda shown: "begun" in shown)
        assert watched.status == 0
        assert terminal.type("echo still there", 30).shown == "still there\n"


def test_a_command_that_does_not_end_is_reported_with_its_output(terminal: Terminal) -> None:
    with terminal, pytest.raises(TimeoutError, match=r"`echo so far; sleep 600` did not end within 5 s:\nso far"):
        terminal.type("echo so far; sleep 600", 5)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("minilm-int8   Succeeded   100 %   0.2512   39ms   11s", "minilm-int8  Succeeded  100 %  0.2498  1.2s  3m4s"),
        ("latency p50   20.3ms   11.6ms   -43.1 %   better", "latency p50   20ms   21ms   +5.0 %   worse"),
        ("compressionreview/minilm-reviewed-2nbn5 created", "compressionreview/minilm-reviewed-xkqzb created"),
    ],
)
def test_figures_ages_and_generated_names_may_differ(printed: str, shown: str) -> None:
    assert missing([printed], f"before\n{shown}\nafter\n") == []


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("minilm-int8   Succeeded   Pass", "minilm-int8   Failed   Fail"),
        ("size.ratio   at most 0.26", "size.ratio   at least 0.26"),
        ("next: see the report", "next: wait"),
    ],
)
def test_other_words_may_not_differ(printed: str, shown: str) -> None:
    assert missing([printed], shown) == [printed]


@pytest.mark.parametrize(
    ("text", "output", "typed", "says"),
    [
        ("kubectl get cpj", (), Typed(0, ""), ""),
        ("kubectl get cpj", (), Typed(1, "no"), "ended with 1"),
        ("kubectl get cpj", ("NAME",), Typed(0, "nothing"), "not shown: NAME"),
        ("kubectl compress submit x", ("error: x is wrong",), Typed(2, "error: x is wrong"), ""),
        ("kubectl compress submit x", ("error: x is wrong",), Typed(0, "error: x is wrong"), "ended with 0"),
        ("kubectl auth can-i create pods   # must say no", (), Typed(1, "no"), ""),
        ("kubectl get cpj | grep Pending", (), Typed(1, ""), ""),
        ("kubectl get cpj | grep Pending", (), Typed(1, "error: no such resource"), "ended with 1"),
    ],
)
def test_status_and_output_are_those_of_the_page(text: str, output: tuple[str, ...], typed: Typed, says: str) -> None:
    reported = differences(Command("docs/a.md", "", 7, text, output), typed)
    assert bool(reported) == bool(says)
    assert says in "".join(reported)


def test_later_lines_of_a_values_file_are_added() -> None:
    old = {"runtimes": {"cpu": {"pricePerHour": "1"}}, "replicas": 2}
    new = {"runtimes": {"cpu": {"env": []}}, "replicas": 3}
    assert merged(old, new) == {"runtimes": {"cpu": {"pricePerHour": "1", "env": []}}, "replicas": 3}
