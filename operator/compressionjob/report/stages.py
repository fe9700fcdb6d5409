"""The stages of a run, and the models of earlier stages that may be published after a fallback."""

from typing import Any

from pydantic import Field

from compressionjob.estimate import Estimate
from compressionjob.field_types import TolerantSchema
from compressionjob.report.model_figures import ModelFigures
from compressionjob.verdict import ObjectiveResult, Verdict


class StageReport(TolerantSchema):
    """One stage that ran or was restored from a checkpoint."""

    name: str = Field(description="Name of the stage.")
    method: str = Field(description="Method; export for a step that the planner inserted.")
    parameters: dict[str, Any] = Field(default={}, description="Parameters of the method.")
    fingerprint: str = Field(description="Hash of input, parameters, data and the method's version.")
    size_bytes: int = Field(description="Size of the model after the stage.")
    seconds: float = Field(description="Duration in seconds; for a reused stage that of the original run.")
    reused: bool = Field(description="Whether the stage was restored from a checkpoint.")
    details: dict[str, Any] = Field(default={}, description="Details that the method reports.")


class CandidateReport(TolerantSchema):
    """The model of an earlier stage that could be published instead of the whole pipeline's."""

    stage: str = Field(description="Name of the last applied stage.")
    fingerprint: str = Field(description="Fingerprint of its last step and of its checkpoint.")
    size_bytes: int | None = Field(default=None, description="Size; absent if the model was not made.")
    measured: bool = Field(description="Whether it was measured; false if sizes alone decided.")
    verdict: Verdict | None = Field(default=None, description="Verdict; absent if none was needed.")
    sentence: str = Field(default="", description="Verdict in one sentence.")
    objectives: list[ObjectiveResult] = Field(default=[], description="Results of the objectives.")
    quality: dict[str, float] = Field(default={}, description="Score by metric, if it was measured.")


class FallbackReport(TolerantSchema):
    """Outcome of a fallback: the whole pipeline's model, which is not a Pass, and those of its earlier stages."""

    sentence: str = Field(description="The published stage and the dropped stages in one sentence.")
    published: str | None = Field(default=None, description="The stage whose model passes; absent if none does.")
    given_up: list[str] = Field(default=[], description="Dropped stages, which are those after it.")
    verdict: Verdict = Field(description="Verdict on the whole pipeline.")
    verdict_sentence: str = Field(default="", description="Verdict in one sentence.")
    objectives: list[ObjectiveResult] = Field(
        default=[], description="Results of the objectives for the whole pipeline."
    )
    figures: ModelFigures = Field(description="Measurements of the whole pipeline's model.")
    speedups: dict[str, Estimate] = Field(
        default={}, description="Latency of the baseline divided by that of this model."
    )
    stages: list[StageReport] = Field(default=[], description="Stages of the whole pipeline in order.")
    candidates: list[CandidateReport] = Field(
        default=[], description="Models of earlier stages, in the order in which they were tried."
    )
    results: int = Field(description="Number of models that share the confidence.")
