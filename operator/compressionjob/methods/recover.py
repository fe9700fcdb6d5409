"""Recovery: what a lossy stage lost is learned again, with what it won kept."""

from typing import ClassVar, Literal

from pydantic import Field

from compressionjob.methods.parameters import ALWAYS, Parameters
from compressionjob.methods.predicate import Predicate
from compressionjob.methods.promise import Promise
from compressionjob.methods.training import Training
from compressionjob.schema import Drop


class Recover(Parameters):
    """Train on until little enough is lost, or the budget ends; kept only if it helps. Zeros stay zero."""

    trains: ClassVar[Predicate] = ALWAYS

    method: Literal["distillation", "labels"] = Field(
        default="distillation",
        description="distillation: learn what the baseline answers, no labels needed. labels: fine-tune on labels, "
        "or, language models, on the tokens that follow.",
    )
    max_drop: Drop | None = Field(
        default=None,
        description="Training ends when no more than this is lost against the baseline on training data held back; "
        "without it the whole budget is used.",
    )
    training: Training = Field(default=Training(), description="The budget, and how it is used.")

    def promise(self) -> Promise:
        """Recovery changes values only: never larger, and never worse on the data that it is judged by."""
        return Promise(max_size_ratio=1.01, min_speedup=None, max_quality_drop=None)
