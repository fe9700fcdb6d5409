"""Running time and cost of the pods of a job. The status keeps them after pods and Jobs are deleted."""

from typing import Annotated, Final

from pydantic import Field

from compressionjob.cost import cost_of
from compressionjob.field_types import Positive, TolerantSchema

MAX_PODS: Final = 8
"""Number of pods that are listed; older ones are summed up."""

Time = Annotated[str, Field(max_length=40)]


class PodUsage(TolerantSchema):
    """Running time and price of one pod."""

    pod: Annotated[str, Field(max_length=253)] = Field(description="Name of the pod.")
    uid: Annotated[str, Field(max_length=64)] = Field(description="uid of the pod.")
    part: Annotated[str, Field(max_length=63)] = Field(default="Run", description="Part of the job that it ran.")
    runtime: Annotated[str, Field(max_length=253)] = Field(default="", description="CompressionRuntime of the pod.")
    price_per_hour: Positive | None = Field(default=None, description="Price of the pod when its Job was created.")
    started: Time = Field(description="Start of its container.")
    seconds: Annotated[int, Field(ge=0)] = Field(default=0, description="Running time in seconds at the last update.")
    ended: bool = Field(default=False, description="Whether the pod has ended.")

    @property
    def cost(self) -> float | None:
        """Cost so far; None without a price."""
        return None if self.price_per_hour is None else cost_of(self.seconds, self.price_per_hour)


class EarlierUsage(TolerantSchema):
    """The sum over older pods of one runtime, which are not listed any more."""

    runtime: Annotated[str, Field(max_length=253)] = Field(default="", description="CompressionRuntime of the pods.")
    pods: Annotated[int, Field(ge=0)] = Field(description="Number of pods.")
    seconds: Annotated[int, Field(ge=0)] = Field(description="Total running time in seconds.")
    cost: float | None = Field(default=None, description="Total cost; absent without a price.")


class ActiveTime(TolerantSchema):
    """The time that a job's Jobs were active, which counts against its deadline.

    A Job is active from its start or resumption until it ends or is suspended. A Job that needs a measuring slot is
    active from the time its pod gets a node until it ends, is suspended, or another pod waits for a slot. The time that
    a job is suspended, queued, or waits for a slot or a review does not count.
    """

    seconds: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Total seconds of the periods that have ended. They never decrease."
    )
    job: Annotated[str, Field(max_length=64)] = Field(default="", description="uid of the Job of the last period.")
    since: Time = Field(default="", description="Start of the last period.")
    ended: bool = Field(default=False, description="Whether the last period has ended and is counted in seconds.")


class Interruptions(TolerantSchema):
    """Pods that a job lost without a failure: by preemption, eviction, or its queue."""

    count: Annotated[int, Field(ge=0)] = Field(default=0, description="Number of pods.")
    pod: Annotated[str, Field(max_length=64)] = Field(default="", description="uid of the last counted pod.")
    created: Time = Field(default="", description="Creation time of that pod.")


class Usage(TolerantSchema):
    """The pods of a job, newest last."""

    seconds: Annotated[int, Field(ge=0)] = Field(default=0, description="Total running time of all pods.")
    pods: Annotated[list[PodUsage], Field(max_length=64)] = Field(default=[], description="The newest pods.")
    earlier: Annotated[list[EarlierUsage], Field(max_length=8)] = Field(
        default=[], description="Older pods, by runtime."
    )
    earlier_until: Time = Field(default="", description="Start of the newest of the earlier pods.")

    @property
    def cost(self) -> float | None:
        """Cost of all pods so far; None if none of them has a price."""
        costs = list(self.by_runtime().values())
        return sum(costs) if costs else None

    @property
    def running(self) -> bool:
        """Whether a pod runs."""
        return any(not pod.ended for pod in self.pods)

    def by_runtime(self) -> dict[str, float]:
        """Return the cost by runtime, for pods with a price."""
        costs: dict[str, float] = {}
        items: list[EarlierUsage | PodUsage] = [*self.earlier, *self.pods]
        for item in items:
            if item.cost is not None:
                costs[item.runtime] = costs.get(item.runtime, 0.0) + item.cost
        return costs
