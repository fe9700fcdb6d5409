"""The child Jobs and pods of one CompressionJob."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from compression_operator.cache.forecasts import Forecast
from compression_operator.cluster.resources import JOBS, Resource
from compression_operator.records.child import ChildRecord
from compression_operator.records.pod import PodRecord
from compressionjob.report import Progress


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
