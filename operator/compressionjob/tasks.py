"""What models do, and by which metrics each task is measured: one table for the contract and the runner.

A new task is one name in `Task` and one line in `TASKS`; a new metric one name in `QualityMetric`, and in
`ERROR_METRICS` where lower is better.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from compressionjob.objectives import QualityMetric

Task = Literal[
    "text-embedding",
    "text-classification",
    "text-regression",
    "text-generation",
    "image-classification",
    "audio-classification",
    "video-classification",
    "tabular-classification",
    "tabular-regression",
    "summarization",
    "automatic-speech-recognition",
    "onnx",
]
Content = Literal["text", "image", "audio", "video", "features", "arrays"]
"""The column of the data that has the inputs; features: several columns of numbers; arrays: an .npz that has the
model's inputs by name."""


@dataclass(frozen=True)
class Traits:
    """What is known of a task: its inputs, and its metrics with labels and without; the first of each is the default.

    `labelled` metrics compare with labels, and need them; `unlabelled` ones compare with the baseline, or with the
    inputs themselves (perplexity).
    """

    content: Content
    unlabelled: tuple[QualityMetric, ...]
    labelled: tuple[QualityMetric, ...] = ()
    running_text: bool = False
    """Whether rows of text are joined and cut into windows; then a limit of the data counts windows."""
    writes: bool = False
    """Whether the model answers with text, which is compared with the text of the target column."""

    @property
    def metrics(self) -> tuple[QualityMetric, ...]:
        """Every metric that the task can be measured by."""
        return (*self.labelled, *self.unlabelled)

    @property
    def defaults(self) -> tuple[QualityMetric, ...]:
        """What may be measured by where the job names no metric: with labels, and without."""
        return (*self.labelled[:1], *self.unlabelled[:1])

    @property
    def classifies(self) -> bool:
        """Whether the model answers with scores of classes."""
        return "accuracy" in self.labelled

    @property
    def predicts_number(self) -> bool:
        """Whether the model answers with a number."""
        return "mae" in self.labelled


_CLASSES: Final[tuple[QualityMetric, ...]] = (
    "accuracy", "precision", "recall", "f1", "f1Micro", "f1Macro", "subsetAccuracy"
)  # fmt: skip
_SAME: Final[tuple[QualityMetric, ...]] = ("agreement", "subsetAgreement")
_ERRORS: Final[tuple[QualityMetric, ...]] = ("mae", "mse")

TASKS: Final[Mapping[Task, Traits]] = {
    "text-embedding": Traits("text", ("cosine", "neighbours")),
    "text-classification": Traits("text", _SAME, _CLASSES),
    "text-regression": Traits("text", ("correlation",), _ERRORS),
    "text-generation": Traits("text", ("perplexity", "agreement"), running_text=True),
    "image-classification": Traits("image", _SAME, _CLASSES),
    "audio-classification": Traits("audio", _SAME, _CLASSES),
    "video-classification": Traits("video", _SAME, _CLASSES),
    "tabular-classification": Traits("features", _SAME, _CLASSES),
    "tabular-regression": Traits("features", ("correlation",), _ERRORS),
    "summarization": Traits("text", ("agreement",), ("rougeL", "rouge1", "rouge2"), writes=True),
    "automatic-speech-recognition": Traits("audio", ("agreement",), ("wer",), writes=True),
    "onnx": Traits("arrays", ("cosine", "neighbours", "matches")),
}


def default_metric(task: Task, *, has_labels: bool) -> QualityMetric:
    """The quality metric of a task when the SLA names none."""
    traits = TASKS[task]
    return traits.labelled[0] if has_labels and traits.labelled else traits.unlabelled[0]
