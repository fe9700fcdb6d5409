"""What wrong manifests and situations are answered: never Python, always with a remedy."""

import re

import pytest

from tests.support.messages import (
    PAGE,
    Situation,
    Wrong,
    of_plan,
    of_server,
    of_submit,
    situations,
    whole_page,
    wrong_jobs,
)

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
    "more threads than CPUs", "a budget on a runtime without a price",
}  # fmt: skip
"""Valid outside a cluster, where there is no API server and no runtime."""

WRONG = wrong_jobs()
SITUATIONS = list(situations())


def test_there_are_at_least_sixty() -> None:
    assert len(WRONG) + len(SITUATIONS) >= 60
    assert len({wrong.name for wrong in WRONG}) == len(WRONG)


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong.name for wrong in WRONG])
def test_a_wrong_manifest_is_answered_in_words_with_a_remedy(wrong: Wrong) -> None:
    submit, plan = of_submit(wrong), of_plan(wrong)
    assert not PYTHON.search(submit), submit
    assert REMEDY.search(submit), submit
    assert bool(plan) is (wrong.name not in ACCEPTED_BY_PLAN)
    assert not PYTHON.search(plan), plan
    assert not plan or REMEDY.search(plan), plan


@pytest.mark.parametrize("situation", SITUATIONS, ids=[item.name for item in SITUATIONS])
def test_a_situation_is_told_with_the_command_that_helps(situation: Situation) -> None:
    for text in (situation.message, situation.advice):
        assert text
        assert not PYTHON.search(text), text
    assert situation.reason
    assert COMMAND.search(situation.message + situation.advice)
    for command in re.findall(r"kubectl compress \w+[^;,]*", situation.message + "\n" + situation.advice):
        assert "-n default" in command


def test_what_submit_refuses_for_the_manifest_alone_the_api_server_refuses_too() -> None:
    refused = {name for name, said in of_server().items() if said}
    alone = {wrong.name for wrong in WRONG if of_plan(wrong)} & of_server().keys()
    assert alone <= refused
    assert not [said for said in of_server().values() if PYTHON.search(said) or "<nil>" in said]


def test_the_page_is_that_of_today() -> None:
    assert PAGE.read_text() == whole_page(), "run: make generate"
