"""The child Jobs and pods of one CompressionJob."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from compression_operator.cache.forecasts import Forecast, differs
from compression_operator.cluster.resources import JOBS, Resource
from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from compressionjob.report import Progress


class OwnChildren:
    """The Jobs that the operator created. Owner references and labels do not prove it: any user may write them.

    ``protected``: admission policies of the cluster let no other user create a Job with the operator's labels.
    """

    def __init__(self, *, protected: bool = False) -> None:
        self._protected = protected
        self._created: set[str] = set()

    def add(self, uid: str) -> None:
        """Record a Job that the operator created; the status of its CompressionJob will name it, too."""
        self._created.add(uid)

    def has(self, job: JobRecord, child: ChildRecord) -> bool:
        """Return whether the operator created this Job, which claims to belong to the CompressionJob."""
        return self._protected or child.uid == job.child_uid or child.uid in self._created

    def forget(self, uid: str) -> None:
        """Forget a Job that is gone."""
        self._created.discard(uid)


@dataclass(slots=True)
class Workers:
    """The child Jobs and pods of one CompressionJob, and the progress of its pod."""

    children: dict[str, ChildRecord] = field(default_factory=dict)
    pods: dict[str, PodRecord] = field(default_factory=dict)
    progress: Progress | None = None
    forecast: Forecast | None = None
    notified: Forecast | None = None
    """The forecast at the last reconcile; ``forecast`` may differ a little by now."""

    @property
    def empty(self) -> bool:
        """Whether there are no Jobs and no pods."""
        return not self.children and not self.pods

    def child_of(self, job: JobRecord) -> ChildRecord | None:
        """Return the child Job of a CompressionJob's present part, by its name and owner."""
        named = (item for item in self.children.values() if item.name == job.child_name and not item.deleting)
        return next((item for item in named if item.belongs_to(job)), None)

    def has_child_for(self, part: str) -> bool:
        """Return whether there is a child Job of this part."""
        return any(child.part == part for child in self.children.values())

    def all(self) -> list[ChildRecord | PodRecord]:
        """Return the records of Jobs and pods."""
        return [*self.children.values(), *self.pods.values()]

    def replace(self, child: ChildRecord | None, pods: list[PodRecord]) -> set[str]:
        """Keep exactly this child and these pods; return the uids of those that are gone."""
        before = {*self.children, *self.pods}
        self.children = {child.uid: child} if child is not None else {}
        self.pods = {pod.uid: pod for pod in pods}
        return before - {*self.children, *self.pods}

    def take(self, progress: Progress, forecast: Forecast | None) -> tuple[bool, bool]:
        """Store a pod's report; return whether it has advanced, and whether the job must be reconciled."""
        advanced = _without_estimate(self.progress) != _without_estimate(progress)
        moved = self.progress is None or self.progress.percent != progress.percent
        significant = advanced or moved or differs(self.notified, forecast)
        self.progress, self.forecast = progress, forecast
        if significant:
            self.notified = forecast
        return advanced, significant

    def finish(self) -> datetime | None:
        """Return when the pod that runs expects to be done."""
        pod = self.pods.get(self.forecast.pod) if self.forecast is not None else None
        return self.forecast.finish if self.forecast is not None and pod is not None and pod.running else None

    def of(self, resource: Resource) -> dict[str, Any]:
        """Return the records of Jobs or pods by uid."""
        return self.children if resource is JOBS else self.pods


def _without_estimate(progress: Progress | None) -> Progress | None:
    """Return a pod's progress without its estimate, which changes even if the pod hangs."""
    return progress.model_copy(update={"estimate": 0.0}) if progress is not None else None
