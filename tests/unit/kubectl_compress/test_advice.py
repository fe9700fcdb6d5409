"""What to do next."""

import pytest

from compressionjob import conditions
from kubectl_compress.advice import advice
from kubectl_compress.options import COMMANDS, parser
from tests.support.screens import condition, job

FAILURES = [
    conditions.SLA_VIOLATED, conditions.SLA_INCONCLUSIVE, conditions.INVALID_SPEC, conditions.INVALID_INPUT,
    conditions.BAD_RECIPE, conditions.OUT_OF_MEMORY, conditions.KILLED, conditions.DISK_FULL,
    conditions.STORAGE_UNAVAILABLE, conditions.DEADLINE_EXCEEDED, conditions.RETRIES_EXHAUSTED, conditions.CHILD_LOST,
    conditions.CHILD_CONFLICT, conditions.SUMMARY_MISSING, conditions.REVIEW_REJECTED, conditions.REVIEW_TIMED_OUT,
    "SomethingNew",
]  # fmt: skip


def failed(reason: str) -> str:
    status = {"phase": "Failed", "conditions": [condition("Failed", "True", reason)]}
    return advice(job(status=status))


@pytest.mark.parametrize("reason", FAILURES)
def test_every_end_has_a_next_step_whose_commands_parse(reason: str) -> None:
    said = failed(reason)
    assert said
    assert "{" not in said
    for command in said.split("kubectl compress ")[1:]:
        words = command.split(";")[0].split(", then")[0].split()
        if words[0] in {item.name for item in COMMANDS}:
            settings = [word.replace("=NAME", "=x").replace("=TIME", "=2h") for word in words]
            parser("0").parse_args(settings)


def test_what_would_end_the_same_way_is_not_simply_tried_again() -> None:
    assert "--set spec.runtime=" in failed(conditions.OUT_OF_MEMORY)
    assert "--set spec.deadline=" in failed(conditions.DEADLINE_EXCEEDED)
    assert "retry" not in failed(conditions.BAD_RECIPE)
    assert failed(conditions.KILLED).endswith("kubectl compress retry minilm-int8")


def test_a_job_without_limits_is_told_how_to_be_judged() -> None:
    said = advice(job(status={"phase": "Succeeded", "verdict": "NoLimits"}))
    assert "kubectl compress report minilm-int8" in said
    assert "set limits in spec.sla" in said


def test_a_suspended_job_gets_a_patch_that_is_json() -> None:
    said = advice(job(status={"phase": "Suspended"}))
    assert """--patch='{"spec":{"suspend":false}}'""" in said
