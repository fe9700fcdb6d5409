"""What a pod tells while it works: how far it is, and how long the rest will take."""

from typing import Annotated

from pydantic import Field

from compressionjob.schema import Observed


class Remaining(Observed):
    """How long a run will still take, as far as it can tell."""

    seconds: Annotated[float, Field(ge=0, le=1e9)] = Field(description="Seconds until it expects to be done.")
    basis: Annotated[str, Field(max_length=256)] = Field(default="", description="What the forecast rests on.")


class RunStep(Observed):
    """One step of a run, and how it stands."""

    title: Annotated[str, Field(max_length=128)] = Field(description="Name of the step.")
    state: Annotated[str, Field(max_length=16)] = Field(
        description="Pending, Running, Done, Failed, or Skipped where a checkpoint or the verdict made it needless."
    )


class Progress(Observed):
    """What ``/progress`` answers while a pod works."""

    stage: Annotated[str, Field(max_length=128)] = Field(default="", description="What is being done.")
    index: int = Field(default=0, description="Number of the step, from 1.")
    total: int = Field(default=0, description="How many steps there are.")
    fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="Share of the whole run that is done."
    )
    estimate: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0,
        description="The same by the usual pace of the step that goes on: it moves while that step tells nothing.",
    )
    steps: list[RunStep] = Field(default=[], description="The steps of the run in order.")
    detail: Annotated[str, Field(max_length=256)] = Field(default="", description="More, for people.")
    remaining: Remaining | None = Field(
        default=None, description="How long the rest will take; absent until there is something to tell it from."
    )

    @property
    def percent(self) -> int:
        """Whole per cent, 100 only when all is done."""
        return int(max(self.fraction, self.estimate) * 100)
