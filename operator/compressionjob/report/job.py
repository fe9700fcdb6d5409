"""The job of a report."""

from pydantic import Field, JsonValue

from compressionjob.report.section import ReportSection
from compressionjob.tasks import TASKS, Traits


class JobReference(ReportSection):
    """The job that made a model."""

    name: str = Field(default="", description="Name of the job.")
    namespace: str = Field(default="", description="Namespace of the job.")
    uid: str | None = Field(default=None, description="uid of the job; empty for a run without a cluster.")


class JobReport(JobReference):
    """The job, with its spec.

    The spec is JSON rather than a CompressionJobSpec: this version may refuse a spec that an earlier one accepted, and
    the report must repeat the manifest unchanged.
    """

    spec: dict[str, JsonValue] = Field(default={}, description="Spec of the job, with defaults.")

    @property
    def task(self) -> str:
        """The task of the model, "" where the spec does not state it."""
        return str(self._spec_value("model", "task") or "")

    @property
    def traits(self) -> Traits | None:
        """The traits of the task; None for a task of another version."""
        return next((traits for task, traits in TASKS.items() if task == self.task), None)

    @property
    def source(self) -> str:
        """The location of the model, "" where the spec does not state it."""
        return str(self._spec_value("model", "source") or "")

    @property
    def destination(self) -> str:
        """The destination, "" where the spec does not state it."""
        return str(self._spec_value("output", "destination") or "")

    @property
    def quality_metric(self) -> str:
        """The metric that the SLA names, "" where the task's default applies."""
        return str(self._spec_value("sla", "quality", "metric") or "")

    @property
    def latency_percentile(self) -> str:
        """The percentile that the SLA limits, "" where it limits no latency."""
        return str(self._spec_value("sla", "latency", "percentile") or "")

    def percentile_of(self, objective: str) -> str:
        """Return the percentile of an objective on latency, "" where the SLA does not limit it."""
        return str(self._spec_value("sla", objective.split(".")[0], "percentile") or "")

    @property
    def batch_size(self) -> int:
        """Samples in one query."""
        value = self._spec_value("benchmark", "batchSize")
        return value if isinstance(value, int) and value else 1

    def _spec_value(self, *path: str) -> JsonValue:
        """Return the value of a field of the spec, None where it does not state it."""
        place: JsonValue = self.spec
        for key in path:
            place = place.get(key) if isinstance(place, dict) else None
        return place
