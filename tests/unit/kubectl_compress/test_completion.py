"""Candidates for the shell; with a real cluster in tests/integration/operator/test_plugin.py."""

import pytest

from kubectl_compress.completion import Completion, Directive
from kubectl_compress.errors import Unreachable
from kubectl_compress.kubectl import Kubectl
from kubectl_compress.options import COMMANDS, flags_of


class Table(Kubectl):
    """kubectl in front of a cluster with three jobs; records its calls."""

    calls: list[tuple[str, ...]] = []

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        self.calls.append((*arguments, *self.flags))
        return "a   Running   quantize   35   2m\nb   Failed   2m\nc   AwaitingReview   measure   2m\nd   3s\n"


class Away(Kubectl):
    """kubectl without a cluster."""

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        raise Unreachable("connection refused")


def offered(*words: str) -> list[str]:
    return [line.split("\t")[0] for line in Completion(Table).of(words)[0]]


def test_commands_come_first_with_what_they_do() -> None:
    candidates, directive = Completion(Table).of([""])
    assert candidates == [f"{command.name}\t{command.help}" for command in COMMANDS]
    assert directive is Directive.NO_FILES
    assert offered("re") == ["report", "reject", "retry"]
    assert offered("nonsense", "") == []


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("status", ""), ["a", "b", "c", "d"]),
        (("status", "-n", "ml", "b"), ["b"]),
        (("retry", ""), ["b"]),
        (("approve", "--reason", "text", ""), ["c"]),
        (("compare", "a", ""), ["b", "c", "d"]),
        (("compare", "a", "b", ""), []),
        (("status", "--phase", "S"), ["Suspended", "Succeeded"]),
        (("status", "--phase=A"), ["AwaitingReview"]),
        (("status", "-o", ""), ["name", "json"]),
        (("retry", "b", "--set", "spec.dead"), ["spec.deadline="]),
        (("status", "--timeout", ""), []),
    ],
)
def test_values_match_the_flag(words: tuple[str, ...], names: list[str]) -> None:
    assert offered(*words) == names


def test_completion_uses_the_flags_and_a_short_timeout() -> None:
    Table.calls.clear()
    offered("status", "--context", "prod", "--namespace=ml", "")
    (calls,) = Table.calls
    assert {"--context=prod", "--namespace=ml", "--request-timeout=3s"} <= set(calls)


def test_flags_that_were_given_are_not_offered_again_unless_they_may_be_repeated() -> None:
    command = next(item for item in COMMANDS if item.name == "status")
    assert set(offered("status", "-")) == {flag.names[-1] for flag in flags_of(command)}
    left = offered("status", "--watch", "-n", "ml", "--phase", "Failed", "--")
    assert "--watch" not in left
    assert "--namespace" not in left
    assert "--phase" in left


def test_files_are_left_to_the_shell() -> None:
    assert Completion(Table).of(["submit", ""]) == (["yaml", "yml", "json"], Directive.FILE_EXTENSIONS)
    assert Completion(Table).of(["submit", "a.yaml", ""])[1] is Directive.FILE_EXTENSIONS
    assert Completion(Table).of(["report", "a", "--save", ""]) == ([], Directive.DEFAULT)


def test_a_field_waits_for_its_value() -> None:
    assert Completion(Table).of(["retry", "b", "--set", "spec.d"])[1] == Directive.NO_SPACE | Directive.NO_FILES


def test_completion_without_a_cluster_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert Completion(Away).of(["status", ""]) == ([], Directive.NO_FILES)
    assert capsys.readouterr() == ("", "")
