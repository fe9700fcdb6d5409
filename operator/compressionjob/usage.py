"""What the pods of a job used: kept in its status, so that it outlives pods, Jobs and operators."""

from typing import Annotated, Final

from pydantic import Field

from compressionjob.cost import cost_of
from compressionjob.schema import Observed, Positive

MAX_PODS: Final = 8
"""How many pods are told one by one; older ones are added up."""

Time = Annotated[str, Field(max_length=40)]


class PodUsage(Observed):
    """How long one pod ran, at which price."""

    pod: Annotated[str, Field(max_length=253)] = Field(description="Name of the pod.")
    uid: Annotated[str, Field(max_length=64)] = Field(description="Its uid.")
    part: Annotated[str, Field(max_length=63)] = Field(default="Run", description="What it did for the job.")
    runtime: Annotated[str, Field(max_length=253)] = Field(default="", description="Its CompressionRuntime.")
    price_per_hour: Positive | None = Field(default=None, description="Price of the pod when its Job was created.")
    started: Time = Field(description="When its container started.")
    seconds: Annotated[int, Field(ge=0)] = Field(default=0, description="How long it has run, when last written.")
    ended: bool = Field(default=False, description="Whether it runs no more.")

    @property
    def cost(self) -> float | None:
        """What it cost so far, None without a price."""
        return None if self.price_per_hour is None else cost_of(self.seconds, self.price_per_hour)


class EarlierUsage(Observed):
    """Pods that are not told one by one any more, of one runtime."""

    runtime: Annotated[str, Field(max_length=253)] = Field(default="", description="Their CompressionRuntime.")
    pods: Annotated[int, Field(ge=0)] = Field(description="How many they are.")
    seconds: Annotated[int, Field(ge=0)] = Field(description="How long they ran together.")
    cost: float | None = Field(default=None, description="What they cost together; absent without a price.")


class ActiveTime(Observed):
    """How long a job's Jobs were active: what counts against its deadline.

    A Job is active from its start, or from its resumption, until it ends or is suspended. One that needs a measuring
    slot is active from the moment its pod got a node, until it ends, is suspended, or another pod waits for a slot. The
    time that a job is suspended, queued, or waits for a slot or a review does not count.
    """

    seconds: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Seconds of all periods that have ended; they never become fewer."
    )
    job: Annotated[str, Field(max_length=64)] = Field(default="", description="Uid of the Job of the last period.")
    since: Time = Field(default="", description="Start of the last period.")
    ended: bool = Field(default=False, description="Whether the last period has ended, and is in the seconds.")


class Interruptions(Observed):
    """Pods that a job lost, though they did not fail: they were preempted, evicted, or taken back by its queue."""

    count: Annotated[int, Field(ge=0)] = Field(default=0, description="How many they are.")
    pod: Annotated[str, Field(max_length=64)] = Field(default="", description="Uid of the last one that was counted.")
    created: Time = Field(default="", description="When that pod was created.")


class Usage(Observed):
    """The pods of a job, newest last."""

    seconds: Annotated[int, Field(ge=0)] = Field(default=0, description="How long all pods ran together.")
    pods: Annotated[list[PodUsage], Field(max_length=64)] = Field(
        default=[], description="The newest pods that ran, one by one."
    )
    earlier: Annotated[list[EarlierUsage], Field(max_length=8)] = Field(
        default=[], description="The pods before these, by runtime."
    )
    earlier_until: Time = Field(default="", description="Start of the newest of the earlier pods.")

    @property
    def cost(self) -> float | None:
        """What all pods cost so far; None when none of them has a price."""
        costs = list(self.by_runtime().values())
        return sum(costs) if costs else None

    @property
    def running(self) -> bool:
        """Whether a pod runs."""
        return any(not pod.ended for pod in self.pods)

    def by_runtime(self) -> dict[str, float]:
        """Cost by runtime, of what has a price."""
        costs: dict[str, float] = {}
        items: list[EarlierUsage | PodUsage] = [*self.earlier, *self.pods]
        for item in items:
            if item.cost is not None:
                costs[item.runtime] = costs.get(item.runtime, 0.0) + item.cost
        return costs
