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
    """Which Jobs the operator created. Owner references and labels do not tell: anybody may write them.

    ``protected``: the cluster lets nobody else create a Job with a label of ours.
    """

    def __init__(self, *, protected: bool = False) -> None:
        self._protected = protected
        self._created: set[str] = set()

    def add(self, uid: str) -> None:
        """Note that the operator created a Job; its CompressionJob's status will say so, too."""
        self._created.add(uid)

    def has(self, job: JobRecord, child: ChildRecord) -> bool:
        """Whether a Job that says that it works for this CompressionJob was created for it by the operator."""
        return self._protected or child.uid == job.child_uid or child.uid in self._created

    def forget(self, uid: str) -> None:
        """Forget a Job that is gone."""
        self._created.discard(uid)


@dataclass(slots=True)
class Workers:
    """What works for one CompressionJob."""

    children: dict[str, ChildRecord] = field(default_factory=dict)
    pods: dict[str, PodRecord] = field(default_factory=dict)
    progress: Progress | None = None
    forecast: Forecast | None = None
    noticed: Forecast | None = None
    """The forecast that made somebody look last; ``forecast`` may be a little different by now."""

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not self.children and not self.pods

    def child_of(self, job: JobRecord) -> ChildRecord | None:
        """The child Job of a CompressionJob's present part, by its name and owner."""
        named = (item for item in self.children.values() if item.name == job.child_name and not item.deleting)
        return next((item for item in named if item.belongs_to(job)), None)

    def has_child_for(self, part: str) -> bool:
        """Whether there is a child Job of this part."""
        return any(child.part == part for child in self.children.values())

    def all(self) -> list[ChildRecord | PodRecord]:
        """The records of Jobs and pods."""
        return [*self.children.values(), *self.pods.values()]

    def replace(self, child: ChildRecord | None, pods: list[PodRecord]) -> set[str]:
        """Keep exactly this child and these pods; returns the uids of those that are gone."""
        before = {*self.children, *self.pods}
        self.children = {child.uid: child} if child is not None else {}
        self.pods = {pod.uid: pod for pod in pods}
        return before - {*self.children, *self.pods}

    def take(self, progress: Progress, forecast: Forecast | None) -> tuple[bool, bool]:
        """Remember what a pod told; says whether it got on, and whether that or its forecast is worth a look."""
        got_on = _without_estimate(self.progress) != _without_estimate(progress)
        moved = self.progress is None or self.progress.percent != progress.percent
        is_news = got_on or moved or differs(self.noticed, forecast)
        self.progress, self.forecast = progress, forecast
        if is_news:
            self.noticed = forecast
        return got_on, is_news

    def finish(self) -> datetime | None:
        """When the pod that runs expects to be done."""
        pod = self.pods.get(self.forecast.pod) if self.forecast is not None else None
        return self.forecast.finish if self.forecast is not None and pod is not None and pod.running else None

    def of(self, resource: Resource) -> dict[str, Any]:
        """The records of Jobs or pods by uid."""
        return self.children if resource is JOBS else self.pods


def _without_estimate(progress: Progress | None) -> Progress | None:
    """Return what a pod told without what moves by itself: a pod that hangs does not get on."""
    return progress.model_copy(update={"estimate": 0.0}) if progress is not None else None
