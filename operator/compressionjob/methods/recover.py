"""Recovery: training after a lossy stage, with zeros and sizes kept."""

from typing import ClassVar, Literal

from pydantic import Field

from compressionjob.field_types import Drop
from compressionjob.methods.parameters import ALWAYS, LabelNeed, Parameters
from compressionjob.methods.predicate import Predicate
from compressionjob.methods.promise import Promise
from compressionjob.methods.training import Training


class Recover(Parameters):
    """Train until the loss is small enough or the budget ends; keep the result only if it is better. Zeros stay 0."""

    trains: ClassVar[Predicate] = ALWAYS

    method: Literal["distillation", "labels"] = Field(
        default="distillation",
        description="distillation: train on the outputs of the baseline, without labels. labels: fine-tune on labels, "
        "or on the next tokens for language models.",
    )
    max_drop: Drop | None = Field(
        default=None,
        description="Training ends when the score on held-out training data is at most this far below the baseline's; "
        "without it the whole budget is used.",
    )
    training: Training = Field(default=Training(), description="Budget and settings of the training.")

    def labels_needed(self) -> LabelNeed | None:
        """Return the method if it is fine-tuning on labels."""
        return LabelNeed("method", "labels", "use method distillation") if self.method == "labels" else None

    def promise(self) -> Promise:
        """Return that the model does not grow: recovery changes values only."""
        return Promise(max_size_ratio=1.01, min_speedup=None, max_quality_drop=None)
