"""Recovery of tasks: scores of both models on questions with known answers."""

from typing import Literal

from pydantic import Field

from compressionjob.estimate import Estimate
from compressionjob.report.section import ReportSection


class TaskRecovery(ReportSection):
    """Scores of both models on one task, and the share that the compressed model keeps."""

    name: str = Field(description="Name of the task.")
    kind: str = Field(default="", description="multiple-choice or generation.")
    metric: str = Field(description="Metric of lm-evaluation-harness.")
    documents: int = Field(description="Number of scored questions.")
    few_shot: int = Field(default=0, description="Number of examples in front of each question.")
    chance: float = Field(default=0.0, description="Score of a model that guesses.")
    baseline: Estimate = Field(description="Score of the baseline.")
    compressed: Estimate = Field(description="Score of the compressed model.")
    recovery: Estimate | None = Field(
        default=None,
        description="Score of the compressed model divided by the baseline's; absent if the baseline is no better than "
        "chance.",
    )
    broken: int = Field(default=0, description="Questions that only the baseline answers right.")
    fixed: int = Field(default=0, description="Questions that only the compressed model answers right.")
    verdict: Literal["Pass", "Fail", "Inconclusive"] | None = Field(
        default=None, description="Verdict on the task; absent without a limit on it."
    )
    reason: str = Field(default="", description="Why there is no recovery.")
    source: str = Field(default="", description="Location of the task's file.")
    digest: str = Field(default="", description="SHA-256 of the task's file.")


class RecoveryReport(ReportSection):
    """Recovery of all tasks. The intervals of all tasks hold together."""

    harness: str = Field(default="", description="lm-evaluation-harness with its version.")
    tasks: list[TaskRecovery] = Field(default=[], description="Tasks, in the order of the job.")
