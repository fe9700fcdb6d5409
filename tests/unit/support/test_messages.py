"""Messages for wrong manifests and situations have a remedy, and no text of Python exceptions."""

import ast
import re

import pytest

from compressionjob.conditions import FAILURE_REASONS
from compressionjob.pod_interface import CORRECT_KEYS
from docsite import reasons, run_codes
from tests.support import troubleshooting
from tests.support.messages import Situation, Wrong, of_plan, of_server, of_submit, situations, wrong_jobs

PYTHON = re.compile(
    r"\{'|<class|<object|\bNone\b|NoneType|\bTrue\b|\bFalse\b|Traceback|Errno|Error\(|ValueError|KeyError|TypeError|"
    r"Input should|\[type=|pydantic|Extra inputs|Field required|validation error|0x[0-9a-f]{6}|\b1 tries\b"
)
REMEDY = re.compile(
    r"add it|did you mean|belongs to|must be|write|choose|name |set |use |move |keep |remove|such as|there are: |let |"
    r"correct|put |make |it is empty"
)
COMMAND = re.compile(r"kubectl (-n default )?[a-z]+")
ACCEPTED_BY_PLAN = {
    "a number without quotes", "a number in quotes", "a runtime that there is not", "files of the node",
    "more threads than CPUs", "a budget on a runtime without a price", "a name with capitals",
}  # fmt: skip
"""Manifests that are valid outside a cluster, without an API server and runtimes."""

WRONG = wrong_jobs()
SITUATIONS = list(situations())


def test_there_are_at_least_sixty_wrong_manifests() -> None:
    assert len(WRONG) + len(SITUATIONS) >= 60
    assert len({wrong.name for wrong in WRONG}) == len(WRONG)


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong.name for wrong in WRONG])
def test_a_wrong_manifest_gets_a_message_with_a_remedy(wrong: Wrong) -> None:
    submit, plan = of_submit(wrong), of_plan(wrong)
    assert not PYTHON.search(submit), submit
    assert REMEDY.search(submit), submit
    assert bool(plan) is (wrong.name not in ACCEPTED_BY_PLAN)
    assert not PYTHON.search(plan), plan
    assert not plan or REMEDY.search(plan), plan


@pytest.mark.parametrize("situation", SITUATIONS, ids=[item.name for item in SITUATIONS])
def test_a_situation_has_a_message_and_a_command(situation: Situation) -> None:
    for text in (situation.message, situation.advice):
        assert text
        assert not PYTHON.search(text), text
    assert situation.reason
    assert COMMAND.search(situation.message + situation.advice)
    for command in re.findall(r"kubectl compress \w+[^;,]*", situation.message + "\n" + situation.advice):
        assert "-n default" in command


def test_the_api_server_refuses_the_manifests_that_submit_refuses() -> None:
    refused = {name for name, said in of_server().items() if said}
    alone = {wrong.name for wrong in WRONG if of_plan(wrong)} & of_server().keys()
    assert alone <= refused
    assert not [said for said in of_server().values() if PYTHON.search(said) or "<nil>" in said]


def test_the_page_is_current() -> None:
    assert troubleshooting.PAGE.read_text() == troubleshooting.whole_page(), "run: make generate"


def test_the_page_has_every_reason_with_its_meaning() -> None:
    assert reasons.reasons() == set(reasons.MEANING)
    listed = re.findall(r"^\| `(\w+)`(?:<br>| \|)", "\n".join(reasons.section()), re.MULTILINE)
    assert reasons.reasons() <= set(listed)


def test_every_reason_of_a_job_that_failed_has_a_command() -> None:
    for reason in FAILURE_REASONS:
        assert COMMAND.search(reasons.next_step(reason)), reason


def test_the_page_has_every_code_of_the_runner() -> None:
    """The codes are read from the source: those that an error is created with."""
    text = "\n".join(run_codes.section())
    for code in ("AlreadyQuantized", "InsufficientMemory", "UploadAborted", "DiskFull", "IsFloat16"):
        assert f"| `{code}` |" in text
    assert "name the float32 model" in "".join(run_codes.remedies("BadRecipe")["IsFloat16"])


def test_a_remedy_contains_the_text_of_a_constant() -> None:
    assert f"{CORRECT_KEYS}, or their rights" in run_codes.remedies("InvalidInput")["CredentialsRefused"]


@pytest.mark.parametrize("kind", run_codes.ENDS)
def test_every_code_of_the_runner_has_a_remedy_on_the_page(kind: str) -> None:
    assert [code for code, texts in run_codes.remedies(kind).items() if not texts] == []


def test_no_problem_is_the_text_of_an_exception() -> None:
    """An error's arguments are written for its reader: none is ``str(error)`` of another exception."""
    copied = []
    for file in run_codes.RUNNER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in run_codes.ENDS:
                copied += [f"{file.name}:{node.lineno}" for part in node.args if ast.unparse(part) == "str(error)"]
    assert copied == []
