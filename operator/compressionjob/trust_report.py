"""What a run tells of groups, disturbed inputs, attributions and flips, in report.json below ``trust``."""

from typing import Literal

from pydantic import Field

from compressionjob.estimate import Estimate
from compressionjob.schema import Observed

Disturbance = Literal["noise", "corruption", "attack"]


class GroupFigures(Observed):
    """One group of the evaluation data; the intervals of all groups hold together."""

    name: str = Field(description="What the column has for it.")
    samples: int = Field(description="How many samples are of it.")
    baseline: Estimate = Field(description="The baseline's score or error.")
    compressed: Estimate = Field(description="The result's.")


class GroupsReport(Observed):
    """Scores by group."""

    column: str = Field(description="The column that tells groups apart.")
    metric: str = Field(description="What they are measured by.")
    groups: list[GroupFigures] = Field(description="The groups, the result's worst first.")
    baseline_worst: Estimate = Field(description="The baseline's worst group.")
    compressed_worst: Estimate = Field(description="The result's worst group.")
    baseline_gap: Estimate = Field(description="Difference between the baseline's best and worst group.")
    compressed_gap: Estimate = Field(description="The same of the result.")
    gap_increase: Estimate = Field(description="By how much the result's is larger.")


class DisturbedFigures(Observed):
    """Right answers of both models under one disturbance."""

    disturbance: Disturbance = Field(description="noise, corruption or attack.")
    kind: str = Field(description="gaussian, a kind of corruption, or pgd.")
    severity: float = Field(description="The noise's level, the corruption's severity, the attack's epsilon.")
    unit: str = Field(description="What the severity counts.")
    baseline: Estimate = Field(description="The baseline's share of right answers.")
    compressed: Estimate = Field(description="The result's.")
    drop: Estimate = Field(description="The baseline's less the result's, on the same samples.")
    method: str = Field(default="", description="How the inputs were made.")


class RobustnessReport(Observed):
    """Right answers to disturbed inputs beside those to the same inputs undisturbed."""

    judged_by: Literal["labels", "the baseline's answers"] = Field(description="What is right.")
    samples: int = Field(description="How many inputs were disturbed.")
    baseline_clean: Estimate = Field(description="The baseline's share of right answers to undisturbed inputs.")
    compressed_clean: Estimate = Field(description="The result's.")
    disturbed: list[DisturbedFigures] = Field(description="Disturbance by disturbance.")


class Attribution(Observed):
    """What both models' answers to one input rest on."""

    sample: int = Field(description="Number of the sample in the evaluation data, from 0.")
    answer: int | None = Field(default=None, description="The class that is explained: the baseline's answer.")
    features: list[str] = Field(description="Columns, tokens, or patches by row and column.")
    values: list[str] = Field(default=[], description="What the columns hold.")
    grid: list[int] = Field(default=[], description="Rows and columns of patches.")
    picture: str = Field(default="", description="The image as a data: URI (PNG).")
    baseline: list[float] = Field(description="SHAP values of the baseline, one for each feature.")
    compressed: list[float] = Field(description="SHAP values of the result.")
    agreement: float = Field(description="Cosine of the two.")


class AttributionsReport(Observed):
    """Whether both models answer for the same reasons."""

    method: str = Field(description="How attributions were estimated.")
    samples: int = Field(description="How many inputs were explained.")
    agreement: Estimate = Field(description="Mean cosine between the attributions of both models.")
    examples: list[Attribution] = Field(description="Some inputs, those that agree least first.")


class Flip(Observed):
    """One sample that the models answer differently."""

    sample: int = Field(description="Number of the sample in the evaluation data, from 0.")
    label: int | list[int] | None = Field(
        default=None, description="The right class, where the data has it; a list of those of several labels."
    )
    baseline: int | list[int] = Field(description="The baseline's class, or labels.")
    compressed: int | list[int] | None = Field(default=None, description="The result's; absent where it is no number.")


class FlipsReport(Observed):
    """Answers that are other than the baseline's."""

    share: Estimate = Field(description="Share of the samples.")
    samples: int = Field(description="How many samples were answered.")
    flipped: int = Field(description="How many answers differ.")
    broken: int | None = Field(default=None, description="Those that were right before and are wrong now.")
    mended: int | None = Field(default=None, description="Those that were wrong before and are right now.")
    examples: list[Flip] = Field(description="Some of them, those that broke first.")


class TrustReport(Observed):
    """Each part is there where the job limits it; groups also where it only names them."""

    groups: GroupsReport | None = None
    robustness: RobustnessReport | None = None
    attributions: AttributionsReport | None = None
    flips: FlipsReport | None = None
