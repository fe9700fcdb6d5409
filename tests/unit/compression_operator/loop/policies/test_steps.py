"""The steps of a run in the status, and the progress."""

from typing import Any

import pytest

from compressionjob.report import Progress, RunStep, Summary, Violation
from tests.support.operator.builders import (
    child,
    complete,
    ended_pod,
    failed,
    job,
    observe,
    running_pod,
    settle,
    summary,
    with_raw_status,
)

REPORTED = [("preflight", "Done"), ("fetch", "Skipped"), ("quantize", "Running"), ("publish", "Pending")]


def reported(**fields: Any) -> Progress:
    return Progress(stage="quantize", steps=[RunStep(title=title, state=state) for title, state in REPORTED], **fields)


def states(status: Any) -> list[tuple[str, str]]:
    assert status is not None
    return [(item["title"], item["state"]) for item in status["steps"]]


def test_a_running_job_shows_the_steps_of_its_pod_and_a_per_cent_sign() -> None:
    progress = reported(fraction=0.5, estimate=0.817)
    _, plan = settle(observe(child=child(active=1), pods=(running_pod(),), progress=progress))
    assert plan.status is not None
    assert (plan.status["progress"], plan.status["progressText"]) == (81, "81%")
    assert states(plan.status) == REPORTED


@pytest.mark.parametrize(
    ("fields", "publish"),
    [({}, "Done"), ({"published": False, "held": True, "digest": "sha256:aa"}, "Pending")],
)
def test_the_steps_of_a_run_with_a_verdict_are_done(fields: dict[str, Any], publish: str) -> None:
    record, _ = settle(observe(child=child(active=1), pods=(running_pod(),), progress=reported(fraction=0.5)))
    _, plan = settle(observe(record, child=complete(), pods=(ended_pod(message=summary(**fields)),)))
    assert states(plan.status)[1:] == [("fetch", "Skipped"), ("quantize", "Done"), ("publish", publish)]
    assert plan.status is not None
    assert plan.status["progressText"] == "100%"


@pytest.mark.parametrize("stage", ["quantize", "publish", ""])
def test_the_step_that_failed_is_marked(stage: str) -> None:
    """The pod says which; one that was killed was last seen in the step that was running."""
    steps = [step.to_json() for step in reported().steps]
    record = with_raw_status(job(), {"phase": "Running", "childJob": {"name": "c", "uid": child().uid}, "steps": steps})
    text = Summary(error=Violation(reason="BadRecipe", message="no"), stage=stage).to_message()
    pod = ended_pod(code=5, message=text)
    _, plan = settle(observe(record, child=failed("PodFailurePolicy", "exit code 5"), pods=(pod,)))
    assert plan.status is not None
    assert plan.status["phase"] == "Failed"
    expected = {
        "publish": [("quantize", "Done"), ("publish", "Failed")],
    }.get(stage, [("quantize", "Failed"), ("publish", "Pending")])
    assert states(plan.status)[2:] == expected
    assert plan.status["stage"] == (stage or "quantize")
