"""Advice on the next step for a job."""

import pytest

from compressionjob import conditions
from kubectl_compress.advice import OF_CONDITION, OF_FAILURE, OF_WAITING, advice, remarks
from kubectl_compress.options import COMMANDS, parser
from tests.support.screens import condition, job

FAILURES = [*conditions.FAILURE_REASONS, "SomethingNew"]
NO_ADVICE_NEEDED = {
    conditions.VALID, conditions.JOB_ENDED, conditions.SUSPENDED_BY_USER, conditions.SUSPENDING, conditions.RESUMED,
    conditions.SLA_MET, conditions.PUBLISHED_FALLBACK, conditions.PUBLISHED_DESPITE_VIOLATION,
    conditions.PUBLISHED_AFTER_REVIEW, conditions.VERDICT_PASS, conditions.VERDICT_FAIL,
    conditions.VERDICT_INCONCLUSIVE, conditions.NO_VERDICT_YET, conditions.NO_VERDICT, conditions.PROMISES_KEPT,
    conditions.AWAITING_REVIEW, conditions.APPROVED, conditions.REJECTED, conditions.FORECAST_IN_TIME,
    conditions.CLOCK_STOPPED, conditions.ALL_FOUND, conditions.VERDICT_NO_LIMITS, conditions.PUBLISHED_WITHOUT_LIMITS,
    conditions.FILES_REMOVED,
}  # fmt: skip
"""Good reasons, and reasons of phases with their own advice: Suspended, AwaitingReview, Succeeded."""


def reasons() -> set[str]:
    """Every reason in compressionjob.conditions."""
    constants = {value for name, value in vars(conditions).items() if name.isupper() and isinstance(value, str)}
    return constants - set(conditions.CONDITION_TYPES)


def failed(reason: str) -> str:
    status = {"phase": "Failed", "conditions": [condition("Failed", "True", reason)]}
    return advice(job(status=status))


@pytest.mark.parametrize("reason", FAILURES)
def test_commands_in_advice_parse(reason: str) -> None:
    text = failed(reason)
    assert text
    assert "{" not in text
    for command in text.split("kubectl compress ")[1:]:
        words = command.split(";")[0].split(", then")[0].replace("=MORE", "=5").split()
        if words[0] in {item.name for item in COMMANDS}:
            settings = [word.replace("=NAME", "=x").replace("=TIME", "=2h") for word in words]
            parser("0").parse_args(settings)


def test_permanent_failures_do_not_advise_a_plain_retry() -> None:
    assert "--set spec.runtime=" in failed(conditions.OUT_OF_MEMORY)
    assert "--set spec.deadline=" in failed(conditions.DEADLINE_EXCEEDED)
    assert "retry" not in failed(conditions.BAD_RECIPE)
    assert failed(conditions.KILLED).endswith("kubectl compress retry minilm-int8 -n ml")


def test_every_reason_has_advice_or_needs_none() -> None:
    advised = [*OF_FAILURE, *OF_WAITING, *OF_CONDITION]
    assert len(advised) == len(set(advised))
    both = {conditions.AWAITING_REVIEW}  # the name of a phase, too
    assert reasons() - both == (set(advised) | NO_ADVICE_NEEDED) - both
    assert not set(advised) & NO_ADVICE_NEEDED
    assert set(OF_FAILURE) == set(conditions.FAILURE_REASONS)


@pytest.mark.parametrize("reason", OF_WAITING)
def test_waiting_job_has_advice(reason: str) -> None:
    kind = "Accepted" if reason in (conditions.RUNTIME_NOT_FOUND, conditions.RUNTIME_WITHOUT_PRICE) else "Scheduled"
    status = {"phase": "Pending", "conditions": [condition(kind, "False", reason)]}
    text = advice(job(status=status))
    assert text
    assert "{" not in text.replace("""'{"spec":{"pricePerHour":"PRICE"}}'""", "")
    for command in text.split("kubectl compress ")[1:]:
        assert "-n ml" in command


def test_bad_conditions_beside_the_phase_come_with_their_remedy() -> None:
    bad = [
        condition("DeadlineAtRisk", "True", conditions.FORECAST_LATE),
        condition("ReceiversFound", "False", conditions.RECEIVER_NOT_FOUND),
        condition("AsPromised", "True", conditions.PROMISES_KEPT),
        condition("Ready", "False", conditions.FORECAST_LATE),
    ]
    first, second = remarks(job(status={"phase": "Running", "conditions": bad}))
    assert """kubectl patch cpj minilm-int8 -n ml --type=merge --patch='{"spec":{"deadline":"TIME"}}'""" in first
    assert """--patch='{"spec":{"notifications":["RECEIVER"]}}'""" in second


def test_advice_doubles_the_time_limit() -> None:
    text = advice(
        job(
            status={"phase": "Failed", "conditions": [condition("Failed", "True", conditions.SLA_INCONCLUSIVE)]},
            spec__benchmark__timeLimit="30m",
        )
    )
    assert "--set spec.benchmark.timeLimit=60m; " in text
    assert failed(conditions.RETRIES_EXHAUSTED).startswith("see why: kubectl compress logs minilm-int8 -n ml")


def test_job_without_limits_gets_advice_to_set_them() -> None:
    text = advice(job(status={"phase": "Succeeded", "verdict": "NoLimits"}))
    assert "kubectl compress report minilm-int8" in text
    assert "set limits in spec.sla" in text


def test_refused_keys_get_advice_to_replace_them() -> None:
    status = {"message": "the store says 403; correct the keys in the Secret: kubectl -n ml patch secret s3"}
    failure = {"phase": "Failed", "conditions": [condition("Failed", "True", conditions.INVALID_INPUT)]}
    text = advice(job(status=status | failure))
    assert text == "replace the keys as shown above; then: kubectl compress retry minilm-int8 -n ml"


def test_a_suspended_job_gets_a_patch_that_is_json() -> None:
    text = advice(job(status={"phase": "Suspended"}))
    assert """--patch='{"spec":{"suspend":false}}'""" in text
