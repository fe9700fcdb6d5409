"""Limits on what averages hide: the worst group, disturbed inputs, what answers rest on, and answers that change."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from compressionjob.schema import Drop, NotNegative, Positive, Schema, cel, with_rules

FairnessMetric = Literal["accuracy", "precision", "recall", "f1", "mae", "mse"]
FAIRNESS_ERRORS: Final[frozenset[FairnessMetric]] = frozenset({"mae", "mse"})
"""Metrics of groups of which less is better."""

Corruption = Literal["blur", "contrast", "brightness", "pixelate", "impulse", "missing", "drift", "typos"]
CORRUPTIONS: Final[Mapping[str, tuple[Corruption, ...]]] = {
    "image": ("blur", "contrast", "brightness", "pixelate", "impulse"),
    "features": ("missing", "drift"),
    "text": ("typos",),
}
"""What may happen to inputs on their way to a model, by what they are (compressionjob.tasks.Content)."""

_WORST: Final = "has(self.minWorst) || has(self.maxWorst) || has(self.maxGap) || has(self.maxGapIncrease)"
_WORST_TEXT: Final = "set at least one of minWorst (of a score), maxWorst (of an error), maxGap, maxGapIncrease"
_KINDS: Final = "!has(self.minWorst) || !has(self.maxWorst)"
_KINDS_TEXT: Final = "minWorst is for scores, maxWorst for errors; set one of them"
_SCORE: Final = "has(self.maxDrop) || has(self.min)"
_SCORE_TEXT: Final = "set at least one of maxDrop, min"
_DISTURBED: Final = "has(self.noise) || has(self.corruption) || has(self.attack)"
_DISTURBED_TEXT: Final = "set at least one of noise, corruption, attack"


class FairnessLimit(Schema):
    """What must hold for every group of the evaluation data, told apart by columns.group."""

    model_config = with_rules(cel(_WORST, _WORST_TEXT), cel(_KINDS, _KINDS_TEXT))

    metric: FairnessMetric | None = Field(
        default=None,
        description="accuracy, precision, recall and f1 for classes; mae and mse, of which less is better, for "
        "numbers. accuracy or mae by default.",
    )
    min_worst: Drop | None = Field(default=None, description='Least score of the worst group, in [0, 1]: "0.8".')
    max_worst: Positive | None = Field(default=None, description='Largest error of the worst group: "50".')
    max_gap: NotNegative | None = Field(
        default=None, description="Largest difference between the best and the worst group's score or error."
    )
    max_gap_increase: NotNegative | None = Field(
        default=None, description="By how much that difference may be larger than the baseline's."
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
        """Whether groups are judged by an error, as far as the limits say."""
        return self.metric in FAIRNESS_ERRORS or self.max_worst is not None


class ScoreUnder(Schema):
    """How right answers to disturbed inputs must be: the share of right ones, by the labels where there are some and
    otherwise by what the baseline answers to the undisturbed inputs.
    """

    model_config = with_rules(cel(_SCORE, _SCORE_TEXT))

    max_drop: Drop | None = Field(
        default=None, description="Largest loss against the baseline, which is given disturbed inputs too."
    )
    min: Drop | None = Field(default=None, description="Least share of right answers of the result.")

    @model_validator(mode="after")
    def _some_limit(self) -> "ScoreUnder":
        if self.max_drop is None and self.min is None:
            raise ValueError(_SCORE_TEXT)
        return self


class NoiseLimit(ScoreUnder):
    """Gaussian noise on the inputs."""

    level: Positive = Field(
        description="Standard deviation of the noise: as a share of the range of a channel (images, videos), in "
        'standard deviations of a column (tables) or of all samples (recordings): "0.1".'
    )


class CorruptionLimit(ScoreUnder):
    """What happens to inputs without intent; the limits hold for each kind."""

    kinds: Annotated[list[Corruption], Field(max_length=8)] = Field(
        default=[],
        description="blur, contrast, brightness, pixelate, impulse (images); missing, drift (tables); typos (text). "
        "All of them by default.",
    )
    severity: Annotated[int, Field(ge=1, le=5)] = Field(default=3, description="From 1 to 5.")


class AttackLimit(ScoreUnder):
    """Inputs that were changed to be answered wrongly."""

    method: Literal["pgd"] = Field(
        default="pgd", description="Projected gradient descent in the maximum norm (Madry et al., 2018)."
    )
    epsilon: Positive = Field(description="Largest change of any number of an input, in the unit of noise.level.")
    steps: Annotated[int, Field(ge=1, le=200)] = Field(default=10, description="Steps of the descent.")


DISTURBANCES: Final = ("noise", "corruption", "attack")
"""Fields of RobustnessLimit that set a limit."""


class RobustnessLimit(Schema):
    """What must hold for inputs that are not as clean as the evaluation data."""

    model_config = with_rules(cel(_DISTURBED, _DISTURBED_TEXT))

    noise: NoiseLimit | None = Field(default=None, description="Limit under noise.")
    corruption: CorruptionLimit | None = Field(default=None, description="Limit under corruptions.")
    attack: AttackLimit | None = Field(default=None, description="Limit under attack.")
    samples: Annotated[int, Field(ge=10, le=100_000)] = Field(
        default=500, description="Inputs that are disturbed, from all over the evaluation data."
    )

    @model_validator(mode="after")
    def _some_limit(self) -> "RobustnessLimit":
        if self.noise is None and self.corruption is None and self.attack is None:
            raise ValueError(_DISTURBED_TEXT)
        return self

    def parts(self) -> dict[str, ScoreUnder]:
        """Every disturbance that is limited, by its field."""
        limits = {name: getattr(self, name) for name in DISTURBANCES}
        return {name: limit for name, limit in limits.items() if limit is not None}


class AttributionLimit(Schema):
    """Whether the result answers for the baseline's reasons: SHAP values of pixels, columns or tokens, side by side."""

    min_agreement: Drop = Field(
        description="Least mean cosine between the SHAP values of both models, over the inputs that are explained."
    )
    samples: Annotated[int, Field(ge=5, le=1000)] = Field(
        default=32, description="Inputs that are explained, from all over the evaluation data."
    )


class FlipLimit(Schema):
    """Answers that are other than the baseline's, whichever of them is right."""

    max: Drop = Field(description='Largest share of the evaluation data that is answered otherwise: "0.02".')
