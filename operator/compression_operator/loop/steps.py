"""The steps of a run in the status, and their states when the pod that reported them has ended."""

from collections.abc import Sequence
from typing import Final

from compressionjob.report import RunStep
from compressionjob.status import MAX_STEPS

PUBLISH_STEP: Final = "publish"
_OPEN: Final = ("Running", "Pending")


def kept(steps: Sequence[RunStep]) -> list[RunStep]:
    """Return the steps that fit into the status."""
    return list(steps[:MAX_STEPS])


def completed(steps: Sequence[RunStep], *, publish: str = "Done") -> list[RunStep]:
    """Return the steps of a completed run; `publish` is the state of the publish step."""
    return [_with(step, publish if step.title == PUBLISH_STEP else "Done") for step in steps]


def failed(steps: Sequence[RunStep], title: str = "") -> list[RunStep]:
    """Return the steps of a run that failed in the step with this title, or else in the running step."""
    at = next((index for index, step in enumerate(steps) if title and step.title == title), None)
    if at is None:
        return [_with(step, "Failed") if step.state == "Running" else step for step in steps]
    before = [_with(step, "Done") for step in steps[:at]]
    return [*before, steps[at].model_copy(update={"state": "Failed"}), *steps[at + 1 :]]


def _with(step: RunStep, state: str) -> RunStep:
    return step.model_copy(update={"state": state}) if step.state in _OPEN else step
