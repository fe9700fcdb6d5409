"""The stages of a run, and the results of earlier stages that may be published in place of the last one's."""

from typing import Any

from pydantic import Field

from compressionjob.estimate import Estimate
from compressionjob.report.figures import ModelFigures
from compressionjob.schema import Observed
from compressionjob.sla import ObjectiveResult, Verdict


class StageReport(Observed):
    """One stage that ran, or was taken from a checkpoint."""

    name: str = Field(description="Name of the stage.")
    method: str = Field(description="Its method; export where the planner inserted one.")
    parameters: dict[str, Any] = Field(default={}, description="Parameters of the method.")
    fingerprint: str = Field(description="Hash of input, parameters, data and the method's version.")
    size_bytes: int = Field(description="Size of the model after it.")
    seconds: float = Field(description="How long it took (when it was made, if it was reused).")
    reused: bool = Field(description="Whether a checkpoint was used instead of running it.")
    details: dict[str, Any] = Field(default={}, description="What the method tells about its work.")


class CandidateReport(Observed):
    """An earlier stage's result that could be published in place of the whole pipeline's."""

    stage: str = Field(description="Name of the last stage that it has been through.")
    fingerprint: str = Field(description="Fingerprint of its last step, which is its checkpoint's.")
    size_bytes: int | None = Field(default=None, description="Its size; absent where it was not made.")
    measured: bool = Field(description="Whether it was measured; not where its size or a smaller one decided.")
    verdict: Verdict | None = Field(default=None, description="Its verdict; absent where none was needed.")
    sentence: str = Field(default="", description="Its verdict in one sentence.")
    objectives: list[ObjectiveResult] = Field(default=[], description="Limit by limit.")
    quality: dict[str, float] = Field(default={}, description="Score by metric, where it was measured.")


class FallbackReport(Observed):
    """What became of a whole pipeline's result that is not a Pass, and of those of its earlier stages."""

    sentence: str = Field(description="What was published in its place and what was given up, in one sentence.")
    published: str | None = Field(default=None, description="The stage whose result passes; absent where none does.")
    given_up: list[str] = Field(default=[], description="The stages after it.")
    verdict: Verdict = Field(description="The whole pipeline's verdict.")
    verdict_sentence: str = Field(default="", description="The same in one sentence.")
    objectives: list[ObjectiveResult] = Field(default=[], description="The whole pipeline's, limit by limit.")
    figures: ModelFigures = Field(description="What was measured of the whole pipeline's result.")
    speedups: dict[str, Estimate] = Field(default={}, description="The baseline's latency divided by its own.")
    stages: list[StageReport] = Field(default=[], description="The whole pipeline's stages in order.")
    candidates: list[CandidateReport] = Field(default=[], description="Earlier results, in the order of trial.")
    results: int = Field(description="How many results the confidence was shared among.")
