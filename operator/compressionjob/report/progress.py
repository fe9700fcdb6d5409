"""Progress of a pod, and the forecast of the remaining time."""

from typing import Annotated

from pydantic import Field

from compressionjob.field_types import TolerantSchema


class Remaining(TolerantSchema):
    """Forecast of the remaining time of a run."""

    seconds: Annotated[float, Field(ge=0, le=1e9)] = Field(description="Expected seconds until the end.")
    basis: Annotated[str, Field(max_length=256)] = Field(default="", description="Basis of the forecast.")


class RunStep(TolerantSchema):
    """One step of a run and its state."""

    title: Annotated[str, Field(max_length=128)] = Field(description="Name of the step.")
    state: Annotated[str, Field(max_length=16)] = Field(
        description="Pending, Running, Done, Failed, or Skipped if a checkpoint or the verdict made it unnecessary."
    )


class Progress(TolerantSchema):
    """The response of ``/progress``."""

    stage: Annotated[str, Field(max_length=128)] = Field(default="", description="Current step.")
    index: int = Field(default=0, description="Number of the step, from 1.")
    total: int = Field(default=0, description="Number of steps in total.")
    fraction: Annotated[float, Field(ge=0, le=1)] = Field(default=0.0, description="Completed share of the run.")
    estimate: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0,
        description="Estimated share, from the usual duration of the current step. It rises while the step is silent.",
    )
    steps: list[RunStep] = Field(default=[], description="Steps of the run in order.")
    detail: Annotated[str, Field(max_length=256)] = Field(default="", description="Details for people.")
    remaining: Remaining | None = Field(
        default=None, description="Forecast of the remaining time; absent while there is no basis for one."
    )

    @property
    def percent(self) -> int:
        """Completed share in whole per cent; 100 only at the end."""
        return int(max(self.fraction, self.estimate) * 100)
