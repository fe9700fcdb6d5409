"""Limits on fairness, robustness, attribution agreement and prediction flips."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from compressionjob.field_types import Drop, NotNegative, Positive, Schema, cel, with_rules

FairnessMetric = Literal["accuracy", "precision", "recall", "f1", "mae", "mse"]
FAIRNESS_ERRORS: Final[frozenset[FairnessMetric]] = frozenset({"mae", "mse"})
"""Metrics of groups where lower is better."""

Corruption = Literal["blur", "contrast", "brightness", "pixelate", "impulse", "missing", "drift", "typos"]
CORRUPTIONS: Final[Mapping[str, tuple[Corruption, ...]]] = {
    "image": ("blur", "contrast", "brightness", "pixelate", "impulse"),
    "features": ("missing", "drift"),
    "text": ("typos",),
}
"""Corruptions by the content of inputs (compressionjob.tasks.Content)."""

_WORST: Final = "has(self.minWorst) || has(self.maxWorst) || has(self.maxGap) || has(self.maxGapIncrease)"
_WORST_TEXT: Final = "set at least one of minWorst (of a score), maxWorst (of an error), maxGap, maxGapIncrease"
_KINDS: Final = "!has(self.minWorst) || !has(self.maxWorst)"
_KINDS_TEXT: Final = "minWorst is for scores, maxWorst for errors; set one of them"
_SCORE: Final = "has(self.maxDrop) || has(self.min)"
_SCORE_TEXT: Final = "set at least one of maxDrop, min"
_DISTURBED: Final = "has(self.noise) || has(self.corruption) || has(self.attack)"
_DISTURBED_TEXT: Final = "set at least one of noise, corruption, attack"


class FairnessLimit(Schema):
    """Limits for every group of the evaluation data. columns.group names the column with the group."""

    model_config = with_rules(cel(_WORST, _WORST_TEXT), cel(_KINDS, _KINDS_TEXT))

    metric: FairnessMetric | None = Field(
        default=None,
        description="Metric of groups. For classes: accuracy (the default), precision, recall, f1. For numbers: mae "
        "(the default), mse.",
    )
    min_worst: Drop | None = Field(default=None, description='Lowest score of the worst group, in [0, 1]: "0.8".')
    max_worst: Positive | None = Field(default=None, description='Largest error of the worst group: "50".')
    max_gap: NotNegative | None = Field(
        default=None, description="Largest difference between the best and the worst group's score or error."
    )
    max_gap_increase: NotNegative | None = Field(
        default=None, description="Largest increase of that difference over the baseline's."
    )

    @model_validator(mode="after")
    def _of_one_kind(self) -> "FairnessLimit":
        if all(limit is None for limit in (self.min_worst, self.max_worst, self.max_gap, self.max_gap_increase)):
            raise ValueError(_WORST_TEXT)
        if self.min_worst is not None and self.max_worst is not None:
            raise ValueError(_KINDS_TEXT)
        return self

    @property
    def is_error(self) -> bool:
        """Whether the limits name an error rather than a score."""
        return self.metric in FAIRNESS_ERRORS or self.max_worst is not None


class ScoreUnder(Schema):
    """Limits on the share of right predictions for disturbed inputs.

    Labels decide which prediction is right. Without labels it is the baseline's prediction for the undisturbed input.
    """

    model_config = with_rules(cel(_SCORE, _SCORE_TEXT))

    max_drop: Drop | None = Field(
        default=None,
        description="Largest drop from the baseline's share of right predictions, on the same disturbed inputs.",
    )
    min: Drop | None = Field(default=None, description="Lowest share of right predictions of the compressed model.")

    @model_validator(mode="after")
    def _some_limit(self) -> "ScoreUnder":
        if self.max_drop is None and self.min is None:
            raise ValueError(_SCORE_TEXT)
        return self


class NoiseLimit(ScoreUnder):
    """Limits under Gaussian noise on the inputs."""

    level: Positive = Field(
        description="Standard deviation of the noise. Unit: range of a channel (images, videos), standard deviation of "
        'a column (tables) or of all samples (recordings): "0.1".'
    )


class CorruptionLimit(ScoreUnder):
    """Limits under corruptions of the inputs, for each kind."""

    kinds: Annotated[list[Corruption], Field(max_length=8)] = Field(
        default=[],
        description="Kinds: blur, contrast, brightness, pixelate, impulse (images); missing, drift (tables); typos "
        "(text). All of them by default.",
    )
    severity: Annotated[int, Field(ge=1, le=5)] = Field(default=3, description="Severity from 1 to 5.")


class AttackLimit(ScoreUnder):
    """Limits under adversarial attack."""

    method: Literal["pgd"] = Field(
        default="pgd", description="pgd: projected gradient descent in the maximum norm (Madry et al., 2018)."
    )
    epsilon: Positive = Field(description="Largest change of any input value, in the unit of noise.level.")
    steps: Annotated[int, Field(ge=1, le=200)] = Field(default=10, description="Steps of the attack.")


DISTURBANCES: Final = ("noise", "corruption", "attack")
"""Fields of RobustnessLimit that set a limit."""


class RobustnessLimit(Schema):
    """Limits for disturbed inputs."""

    model_config = with_rules(cel(_DISTURBED, _DISTURBED_TEXT))

    noise: NoiseLimit | None = Field(default=None, description="Limits under noise.")
    corruption: CorruptionLimit | None = Field(default=None, description="Limits under corruptions.")
    attack: AttackLimit | None = Field(default=None, description="Limits under attack.")
    samples: Annotated[int, Field(ge=10, le=100_000)] = Field(
        default=500, description="Number of disturbed inputs, spread over the evaluation data."
    )

    @model_validator(mode="after")
    def _some_limit(self) -> "RobustnessLimit":
        if self.noise is None and self.corruption is None and self.attack is None:
            raise ValueError(_DISTURBED_TEXT)
        return self

    def parts(self) -> dict[str, ScoreUnder]:
        """Return the limits that are set, by field."""
        limits = {name: getattr(self, name) for name in DISTURBANCES}
        return {name: limit for name, limit in limits.items() if limit is not None}


class AttributionLimit(Schema):
    """Limit on attribution agreement: SHAP values of both models for the same pixels, columns or tokens."""

    min_agreement: Drop = Field(
        description="Lowest mean cosine between the SHAP values of both models, over the explained inputs."
    )
    samples: Annotated[int, Field(ge=5, le=1000)] = Field(
        default=32, description="Number of explained inputs, spread over the evaluation data."
    )


class FlipLimit(Schema):
    """Limit on predictions that differ from the baseline's, whichever of them is right."""

    max: Drop = Field(description='Largest share of predictions that differ from the baseline\'s: "0.02".')
