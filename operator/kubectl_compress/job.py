"""A CompressionJob from the API server, read leniently.

The operator may be newer than this plugin: an unknown phase or field must be shown, not refused. So the status is read
field by field, and only limits and their figures use the contract's models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from compressionjob import conditions
from compressionjob.conditions import AWAITING_REVIEW
from compressionjob.group import GROUP
from compressionjob.job_parts import MEASURE, PUBLISH
from compressionjob.report import SideSummary
from compressionjob.status import TERMINAL_PHASES
from compressionjob.verdict import ObjectiveResult

# Steps of a run before and after the stages of its pipeline, with the names of /progress.
_BEFORE: Final = ("preflight", "fetch", "data")
_AFTER: Final = ("measure", "publish")
_ALL_DONE: Final = "done"
"""The stage in /progress between the last step and the end of the pod."""
_BRIEF_METADATA: Final = {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}
_BRIEF_STATUS: Final = {
    "phase", "stage", "progress", "verdict", "sizeRatio", "latencyP99", "message", "conditions", "review", "report",
}  # fmt: skip

StepState = Literal["done", "now", "failed", "to come", "left out"]
_STATES: Final[Mapping[str, StepState]] = {
    "Done": "done", "Running": "now", "Failed": "failed", "Pending": "to come", "Skipped": "left out",
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A step of a run and its state."""

    title: str
    state: StepState


@dataclass(frozen=True)
class Job:
    """One CompressionJob; ``raw`` is the whole object."""

    raw: Mapping[str, Any]

    def brief(self) -> "Job":
        """Return the job with only the fields of a table: thousands of jobs must fit into memory."""
        metadata = {key: value for key, value in self.raw["metadata"].items() if key in _BRIEF_METADATA}
        status = {key: value for key, value in self.status.items() if key in _BRIEF_STATUS}
        return Job({"metadata": metadata, "spec": {}, "status": status})

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.raw["metadata"]["name"])

    @property
    def resource(self) -> str:
        """Its kind and name, in kubectl's format."""
        return f"compressionjob.{GROUP}/{self.name}"

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.raw["metadata"].get("namespace", ""))

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.raw["metadata"].get("uid", ""))

    @property
    def version(self) -> str:
        """Its resourceVersion."""
        return str(self.raw["metadata"].get("resourceVersion", ""))

    @property
    def created(self) -> datetime | None:
        """When it was created."""
        return parse_time(self.raw["metadata"].get("creationTimestamp"))

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its spec, with the server's defaults."""
        spec: Mapping[str, Any] = self.raw.get("spec") or {}
        return spec

    @property
    def status(self) -> Mapping[str, Any]:
        """Its status, empty before the operator has seen it."""
        status: Mapping[str, Any] = self.raw.get("status") or {}
        return status

    @property
    def phase(self) -> str:
        """The phase, "" before the operator has seen the job."""
        return str(self.status.get("phase", ""))

    @property
    def ended(self) -> bool:
        """Whether it has succeeded or failed."""
        return self.phase in TERMINAL_PHASES

    @property
    def awaits_review(self) -> bool:
        """Whether it waits for a review."""
        return self.phase == AWAITING_REVIEW

    @property
    def stage(self) -> str:
        """The present stage, or the last one of an ended job; "" if there is none."""
        return str(self.status.get("stage", ""))

    @property
    def progress(self) -> int | None:
        """The progress in percent."""
        percent = self.status.get("progress")
        return None if percent is None else int(percent)

    @property
    def verdict(self) -> str:
        """Pass, Fail, Inconclusive or NoLimits; "" before the verdict."""
        return str(self.status.get("verdict", ""))

    @property
    def digest(self) -> str:
        """Digest of the published model, or of the one that waits for review; "" if there is none."""
        return str(self.status.get("digest", ""))

    @property
    def message(self) -> str:
        """The state in one sentence."""
        return str(self.status.get("message", ""))

    @property
    def anomalies(self) -> list[str]:
        """Promises of the methods that the compressed model does not keep."""
        return [str(item) for item in self.status.get("anomalies", ())]

    @property
    def objectives(self) -> list[ObjectiveResult]:
        """The result of each limit."""
        return [ObjectiveResult.model_validate(item) for item in self.status.get("objectives", ())]

    @property
    def baseline(self) -> SideSummary:
        """Figures of the baseline."""
        return SideSummary.model_validate(self.status.get("baseline") or {})

    @property
    def compressed(self) -> SideSummary:
        """Figures of the compressed model."""
        return SideSummary.model_validate(self.status.get("compressed") or {})

    @property
    def review(self) -> Mapping[str, Any]:
        """The review that decided; empty if there is none."""
        review: Mapping[str, Any] = self.status.get("review") or {}
        return review

    @property
    def conditions(self) -> list[Mapping[str, Any]]:
        """The conditions."""
        return list(self.status.get("conditions", ()))

    def condition(self, kind: str) -> Mapping[str, Any]:
        """Return one condition; empty if it is not set."""
        return next((item for item in self.conditions if item.get("type") == kind), {})

    @property
    def report(self) -> str:
        """The location of its report; "" if it has none."""
        return str(self.status.get("report", ""))

    @property
    def namespace_flag(self) -> str:
        """The namespace flag for kubectl and for this plugin; "" if the namespace is unknown."""
        return f"-n {self.namespace}" if self.namespace else ""

    def command(self, verb: str) -> str:
        """Return a command of this plugin for the job."""
        return f"kubectl compress {verb} {self.name} {self.namespace_flag}".rstrip()

    @property
    def reason(self) -> str:
        """Why it ended, or why it waits; "" if it runs."""
        kinds = (conditions.FAILED, conditions.COMPLETE) if self.ended else (conditions.ACCEPTED, conditions.SCHEDULED)
        wanted = "True" if self.ended else "False"
        condition = next((item for item in map(self.condition, kinds) if item.get("status") == wanted), {})
        return str(condition.get("reason", "")) or ("" if self.ended else self._start_failure)

    @property
    def _start_failure(self) -> str:
        """Why a scheduled pod does not start."""
        reason = str(self.condition(conditions.SCHEDULED).get("reason", ""))
        return reason if reason in conditions.CANNOT_START else ""

    @property
    def is_stuck(self) -> bool:
        """Whether it has failed or needs an action by a person."""
        return self.phase == "Failed" or (not self.ended and self.reason in conditions.STUCK)

    @property
    def measuring_runtime(self) -> str:
        """The measuring runtime, if it differs from the compressing one."""
        return str(self.status.get("measuringRuntime", ""))

    @property
    def present_runtime(self) -> str:
        """The runtime of the present or next pod."""
        measures = self.measuring_runtime and self.status.get("part") in (MEASURE, PUBLISH)
        return self.measuring_runtime if measures else str(self.spec.get("runtime", ""))

    @property
    def stages(self) -> list[str]:
        """The titles of the pipeline's stages: their names, or their methods."""
        return [_title(stage) for stage in self.spec.get("pipeline", ())]

    @property
    def steps(self) -> list[Step]:
        """All steps of its run in order, from the report of its pod, else derived from its spec."""
        if self.status.get("steps"):
            return [Step(str(item.get("title", "")), _state(item.get("state"))) for item in self.status["steps"]]
        titles = [*_BEFORE, *self.stages, *_AFTER]
        if self.verdict:
            return [*(Step(title, "done") for title in titles[:-1]), Step(titles[-1], self._publishing)]
        if self.stage == _ALL_DONE:
            return [Step(title, "done") for title in titles]
        if self.stage and self.stage not in titles:
            # A step that the planner inserted, such as an export: it precedes the first stage.
            titles.insert(len(_BEFORE), self.stage)
        at = titles.index(self.stage) if self.stage else 0
        here: StepState = "to come" if not self.stage else "failed" if self.phase == "Failed" else "now"
        return [
            Step(title, "done" if index < at else here if index == at else "to come")
            for index, title in enumerate(titles)
        ]

    @property
    def _publishing(self) -> StepState:
        """The state of the publish step of a job with a verdict."""
        if self.ended:
            return "done" if self.phase == "Succeeded" else "left out"
        return "to come" if self.awaits_review else "now"


def _state(state: object) -> StepState:
    return _STATES.get(str(state), "to come")


def _title(stage: Mapping[str, Any]) -> str:
    return str(stage.get("name") or next((key for key in stage if key != "name"), "?"))


def parse_time(text: object) -> datetime | None:
    """Parse a Kubernetes timestamp; None if it is missing."""
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) and text else None
