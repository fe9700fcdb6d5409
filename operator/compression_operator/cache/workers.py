"""The child Jobs and pods of one CompressionJob."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from compression_operator.cache.forecasts import Forecast
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

    def finish(self) -> datetime | None:
        """When the pod that runs expects to be done."""
        pod = self.pods.get(self.forecast.pod) if self.forecast is not None else None
        return self.forecast.finish if self.forecast is not None and pod is not None and pod.running else None

    def of(self, resource: Resource) -> dict[str, Any]:
        """The records of Jobs or pods by uid."""
        return self.children if resource is JOBS else self.pods
