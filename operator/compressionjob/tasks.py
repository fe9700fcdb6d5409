"""Tasks of models and the metrics of each task, for operator and runner.

A new task is one name in `Task` and one line in `TASKS`. A new metric is one name in `QualityMetric`, and in
`ERROR_METRICS` if lower is better.
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
"""The column with the inputs. features: several columns of numbers; arrays: an .npz with the model's inputs by name."""


@dataclass(frozen=True)
class Traits:
    """Inputs and metrics of a task. The first of `labelled` and of `unlabelled` is the default.

    `labelled` metrics compare with labels. `unlabelled` metrics compare with the baseline, or with the inputs
    (perplexity).
    """

    content: Content
    unlabelled: tuple[QualityMetric, ...]
    labelled: tuple[QualityMetric, ...] = ()
    running_text: bool = False
    """Whether rows of text are joined and cut into windows. Then the limit of the data counts windows."""
    writes: bool = False
    """Whether the model generates text, which is compared with the text of the target column."""

    @property
    def metrics(self) -> tuple[QualityMetric, ...]:
        """All metrics of the task."""
        return (*self.labelled, *self.unlabelled)

    @property
    def defaults(self) -> tuple[QualityMetric, ...]:
        """The default metrics with labels and without."""
        return (*self.labelled[:1], *self.unlabelled[:1])

    @property
    def classifies(self) -> bool:
        """Whether the model returns scores of classes."""
        return "accuracy" in self.labelled

    @property
    def predicts_number(self) -> bool:
        """Whether the model returns a number."""
        return "mae" in self.labelled


_CLASSES: Final[tuple[QualityMetric, ...]] = (
    "accuracy", "precision", "recall", "f1", "f1Micro", "f1Macro", "subsetAccuracy"
)  # fmt: skip
_SAME: Final[tuple[QualityMetric, ...]] = ("agreement", "subsetAgreement")
_DIVERGENCES: Final[tuple[QualityMetric, ...]] = ("klDivergence", "klDivergenceP99")
_ERRORS: Final[tuple[QualityMetric, ...]] = ("mae", "mse")

TASKS: Final[Mapping[Task, Traits]] = {
    "text-embedding": Traits("text", ("cosine", "neighbours")),
    "text-classification": Traits("text", _SAME, _CLASSES),
    "text-regression": Traits("text", ("correlation",), _ERRORS),
    "text-generation": Traits("text", ("perplexity", "agreement", *_DIVERGENCES), running_text=True),
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
    """Return the quality metric of a task when the SLA names none."""
    traits = TASKS[task]
    return traits.labelled[0] if has_labels and traits.labelled else traits.unlabelled[0]
