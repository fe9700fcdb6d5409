"""The job that a report is about."""

from pydantic import Field, JsonValue

from compressionjob.report.section import ReportSection
from compressionjob.tasks import TASKS, Traits


class JobReference(ReportSection):
    """Which job made a result."""

    name: str = Field(default="", description="Name of the job.")
    namespace: str = Field(default="", description="Its namespace.")
    uid: str | None = Field(default=None, description="Its uid; empty where it ran without a cluster.")


class JobReport(JobReference):
    """The job, with its spec.

    The spec is JSON and no CompressionJobSpec: this version may refuse what an earlier one accepted, and the manifest
    must be repeated as it was.
    """

    spec: dict[str, JsonValue] = Field(default={}, description="The spec as the job had it, with its defaults.")

    @property
    def task(self) -> str:
        """What the model does, "" where the spec does not state it."""
        return str(self._stated("model", "task") or "")

    @property
    def traits(self) -> Traits | None:
        """What is known of the task; None for a task of another version."""
        return next((traits for task, traits in TASKS.items() if task == self.task), None)

    @property
    def source(self) -> str:
        """Where the model comes from, "" where the spec does not state it."""
        return str(self._stated("model", "source") or "")

    @property
    def destination(self) -> str:
        """Where the result goes, "" where the spec does not state it."""
        return str(self._stated("output", "destination") or "")

    @property
    def quality_metric(self) -> str:
        """The metric that the SLA names, "" where the task's default applies."""
        return str(self._stated("sla", "quality", "metric") or "")

    @property
    def latency_percentile(self) -> str:
        """The percentile that the SLA limits, "" where it limits no latency."""
        return str(self._stated("sla", "latency", "percentile") or "")

    @property
    def batch_size(self) -> int:
        """Samples in one query."""
        stated = self._stated("benchmark", "batchSize")
        return stated if isinstance(stated, int) and stated else 1

    def _stated(self, *path: str) -> JsonValue:
        """Return the value of a field of the spec, None where it does not state it."""
        place: JsonValue = self.spec
        for key in path:
            place = place.get(key) if isinstance(place, dict) else None
        return place
