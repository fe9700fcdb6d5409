"""Results on fairness, robustness, attributions and flips, in report.json below ``trust``."""

from typing import Literal

from pydantic import Field

from compressionjob.estimate import Estimate
from compressionjob.field_types import TolerantSchema

Disturbance = Literal["noise", "corruption", "attack"]


class GroupFigures(TolerantSchema):
    """One group of the evaluation data. The intervals of all groups hold together."""

    name: str = Field(description="Value of the group column.")
    samples: int = Field(description="Number of samples in the group.")
    baseline: Estimate = Field(description="Score or error of the baseline.")
    compressed: Estimate = Field(description="The same for the compressed model.")


class GroupsReport(TolerantSchema):
    """Scores by group."""

    column: str = Field(description="Column with the group.")
    metric: str = Field(description="Metric.")
    groups: list[GroupFigures] = Field(description="Groups, ordered from the compressed model's worst.")
    baseline_worst: Estimate = Field(description="The baseline's worst group.")
    compressed_worst: Estimate = Field(description="The compressed model's worst group.")
    baseline_gap: Estimate = Field(description="Difference between the baseline's best and worst group.")
    compressed_gap: Estimate = Field(description="The same for the compressed model.")
    gap_increase: Estimate = Field(description="Increase of the gap over the baseline's.")


class DisturbedFigures(TolerantSchema):
    """Shares of right predictions of both models under one disturbance."""

    disturbance: Disturbance = Field(description="noise, corruption or attack.")
    kind: str = Field(description="gaussian, a kind of corruption, or pgd.")
    severity: float = Field(description="Level of the noise, severity of the corruption, or epsilon of the attack.")
    unit: str = Field(description="Unit of the severity.")
    baseline: Estimate = Field(description="Share of right predictions of the baseline.")
    compressed: Estimate = Field(description="The same for the compressed model.")
    drop: Estimate = Field(description="Drop from the baseline to the compressed model, on the same samples.")
    method: str = Field(default="", description="Method of the disturbance.")


class RobustnessReport(TolerantSchema):
    """Shares of right predictions for disturbed inputs and for the same inputs undisturbed."""

    judged_by: Literal["labels", "the baseline's answers"] = Field(description="Source of the right answers.")
    samples: int = Field(description="Number of disturbed inputs.")
    baseline_clean: Estimate = Field(description="Share of right predictions of the baseline for undisturbed inputs.")
    compressed_clean: Estimate = Field(description="The same for the compressed model.")
    disturbed: list[DisturbedFigures] = Field(description="Results for each disturbance.")


class Attribution(TolerantSchema):
    """Attributions of both models for one input."""

    sample: int = Field(description="Number of the sample in the evaluation data, from 0.")
    answer: int | None = Field(default=None, description="Explained class, which is the baseline's prediction.")
    features: list[str] = Field(description="Names of columns, tokens, or patches by row and column.")
    values: list[str] = Field(default=[], description="Values of the columns.")
    grid: list[int] = Field(default=[], description="Rows and columns of patches.")
    picture: str = Field(default="", description="Image as a data: URI (PNG).")
    baseline: list[float] = Field(description="SHAP values of the baseline, one for each feature.")
    compressed: list[float] = Field(description="SHAP values of the compressed model.")
    agreement: float = Field(description="Cosine between both.")


class AttributionsReport(TolerantSchema):
    """Attribution agreement of both models."""

    method: str = Field(description="Estimator of the attributions.")
    samples: int = Field(description="Number of explained inputs.")
    agreement: Estimate = Field(description="Mean cosine between the attributions of both models.")
    examples: list[Attribution] = Field(description="Examples, ordered from the lowest agreement.")


class Flip(TolerantSchema):
    """One sample with different predictions."""

    sample: int = Field(description="Number of the sample in the evaluation data, from 0.")
    label: int | list[int] | None = Field(
        default=None, description="Right class, if the data has it; a list for multi-label models."
    )
    baseline: int | list[int] = Field(description="Class or labels that the baseline predicts.")
    compressed: int | list[int] | None = Field(
        default=None, description="The same for the compressed model; absent if its output is not a number."
    )


class FlipsReport(TolerantSchema):
    """Predictions that differ from the baseline's."""

    share: Estimate = Field(description="Share of flipped predictions.")
    samples: int = Field(description="Number of samples.")
    flipped: int = Field(description="Number of flipped predictions.")
    broken: int | None = Field(default=None, description="Flips from right to wrong.")
    mended: int | None = Field(default=None, description="Flips from wrong to right.")
    examples: list[Flip] = Field(description="Examples, flips from right to wrong first.")


class TrustReport(TolerantSchema):
    """Trust results. A part is present if the job limits it; groups also if the job only names a group column."""

    groups: GroupsReport | None = None
    robustness: RobustnessReport | None = None
    attributions: AttributionsReport | None = None
    flips: FlipsReport | None = None
