"""Measure the similarity of the outputs of an INT8 graph and its float graph on calibration samples."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from compression_runner.calibration.feeding import Feed
from compression_runner.formats.onnx_files import save
from compression_runner.inference.answer_parts import AnswerPart, OutputShape, part_cosines, split_answers, whole
from compression_runner.inference.onnx_session import open_session

Rows = NDArray[np.float32]
MAX_BYTES: Final = 256 << 20


@dataclass(frozen=True)
class Fidelity:
    """The mean cosine of the outputs, and for classifiers the fraction of samples that keep their class.

    `compared` is false if no outputs can be compared; then the loss is unknown.
    """

    cosine: float
    agreement: float | None
    compared: bool = True

    @property
    def drop(self) -> float:
        """The loss in the measure of the task: changed classes, or cosine."""
        return 1.0 - (self.cosine if self.agreement is None else self.agreement)


class GraphOutputs:
    """The outputs of a graph over batches, one row per row of a batch; short rows are padded with zeros.

    Outputs beyond MAX_BYTES are dropped: long texts have logits of hundreds of megabytes.
    """

    def __init__(self) -> None:
        self._rows: list[list[Rows]] = []
        self._shapes: list[set[tuple[int, ...]]] = []
        self._kept = 0

    def add(self, outputs: Sequence[NDArray[Any]]) -> bool:
        """Add the outputs of one batch; return whether there is room for another."""
        self._rows = self._rows or [[] for _ in outputs]
        self._shapes = self._shapes or [set() for _ in outputs]
        for rows, shapes, values in zip(self._rows, self._shapes, outputs, strict=True):
            rows.extend(np.asarray(row, np.float32).reshape(-1) for row in np.atleast_1d(values))
            shapes.add(np.atleast_1d(values).shape[1:])
            self._kept += values.nbytes
        return self._kept <= MAX_BYTES

    @property
    def outputs(self) -> list[Rows]:
        """Each output, shape (samples, values)."""
        return [_stacked(rows) for rows in self._rows]

    @property
    def parts(self) -> list[Sequence[AnswerPart]]:
        """The parts of each output that are compared separately; one part if samples differ in shape."""
        return [
            () if not rows.size else split_answers(rows, [_as_output(*shapes)]) if len(shapes) == 1 else whole(rows)
            for rows, shapes in zip(self.outputs, self._shapes, strict=True)
        ]


def run_graph(model: onnx.ModelProto, feeds: Sequence[Feed]) -> GraphOutputs:
    """Return the float outputs of a graph in onnxruntime. Raises its errors if the graph does not load or run."""
    with tempfile.TemporaryDirectory(prefix="outputs-") as folder:
        session: Any = open_session(save(model, Path(folder)))
    names = [output.name for output in session.get_outputs() if output.type in ("tensor(float)", "tensor(float16)")]
    outputs = GraphOutputs()
    for feed in feeds if names else ():
        if not outputs.add(session.run(names, dict(feed))):
            break
    return outputs


def compare(before: GraphOutputs, after: GraphOutputs, *, classifies: bool) -> Fidelity:
    """Return the fidelity of two graphs on the same batches; an output that is not finite has cosine -1.

    Outputs with different numbers of rows, such as detections, are skipped; the evaluation matches them. Within an
    output, channels of different magnitude are compared separately, and a sample counts with its worst channel.
    """
    pairs = [
        (old, new, parts)
        for old, new, parts in zip(before.outputs, after.outputs, before.parts, strict=True)
        if old.shape == new.shape and old.size
    ]
    if not pairs:
        return Fidelity(1.0, None, compared=False)
    cosines = np.concatenate([_cosines(old, new, parts) for old, new, parts in pairs])
    return Fidelity(float(cosines.mean()), _agreement(*pairs[0][:2]) if classifies else None)


def _agreement(old: Rows, new: Rows) -> float:
    same = old.argmax(axis=1) == np.nan_to_num(new, nan=-np.inf).argmax(axis=1)
    return float(np.mean(same))


def _as_output(shape: tuple[int, ...]) -> OutputShape:
    return OutputShape("", shape, (True,) * len(shape))


def _cosines(old: Rows, new: Rows, parts: Sequence[AnswerPart]) -> NDArray[np.float64]:
    cosines: NDArray[np.float64] = part_cosines(old, new, parts).min(axis=1)
    cosines[~np.isfinite(new).all(axis=1)] = -1.0
    return cosines


def _stacked(rows: list[Rows]) -> Rows:
    if not rows:
        return np.zeros((0, 0), np.float32)
    longest = max(len(row) for row in rows)
    return np.stack([np.pad(row, (0, longest - len(row))) for row in rows])
