"""Outputs of a model's own library and of the runner's baseline, for the same texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from compression_runner.artifact import seal
from compression_runner.dataset import SampleSet, load_samples
from compression_runner.evaluation.answers.answers import answers
from compression_runner.formats.export import export
from compression_runner.formats.task_module import Interface, wrap
from compression_runner.formats.transformers_model import load_model
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.predictor import Feed, Predictor, TensorInfo
from compressionjob.data import EvaluationData
from compressionjob.tasks import Task

LENGTH: Final = 32
"""Number of tokens to which texts are truncated, for both."""
Answers = NDArray[np.float32]


class ModulePredictor(Predictor):
    """The torch module from which an export is made, as a predictor."""

    def __init__(self, module: torch.nn.Module, interface: Interface) -> None:
        self._module = module
        self.inputs = tuple(TensorInfo(name, np.dtype(np.int64), (None, None)) for name in interface.inputs)
        self.outputs = (TensorInfo(interface.output, np.dtype(np.float32), (None, None)),)

    def run(self, feed: Feed, outputs: list[str] | None = None) -> list[NDArray[np.generic]]:
        """Return the one output."""
        with torch.no_grad():
            return [self._module(*(torch.from_numpy(feed[info.name]) for info in self.inputs)).numpy()]

    def close(self) -> None:
        """Do nothing."""


def baseline(folder: Path, task: Task, *, into: Path | None = None) -> Predictor:
    """Return the runner's baseline of a model: its export, written to `into`, or the module without `into`."""
    if into is None:
        return ModulePredictor(*wrap(load_model(folder, task), folder, task))
    into.mkdir()
    export(seal(folder, "transformers", task), into)
    return OnnxPredictor(into / "model.onnx", threads=1)


def samples(folder: Path, task: Task, rows: Sequence[str]) -> SampleSet:
    """Return the rows as samples of the runner."""
    place = folder.parent / f"{folder.name}.parquet"
    pq.write_table(pa.table({"text": list(rows)}), place)
    data = EvaluationData.model_validate({"source": f"file://{place}"})
    return load_samples(data, place, task=task, model_dir=folder, sequence_length=LENGTH)


def measured(predictor: Predictor, data: SampleSet, task: Task, batch: int) -> Answers:
    """Return the runner's outputs, one row for each text."""
    return np.asarray(answers(predictor, data, task, batch), dtype=np.float32)


def classified(folder: Path, rows: Sequence[str], batch: int) -> Answers:
    """Return the logits of transformers' own pipeline, shape (rows, classes)."""
    from transformers import pipeline

    classify: Any = pipeline(
        "text-classification", model=str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"}
    )
    predicted = classify(
        list(rows), batch_size=batch, top_k=None, function_to_apply="none", truncation=True, max_length=LENGTH
    )
    numbers = {name: number for number, name in classify.model.config.id2label.items()}
    scores = np.zeros((len(rows), len(numbers)), dtype=np.float32)
    for row, classes in enumerate(predicted):
        for one in classes:
            scores[row, numbers[one["label"]]] = one["score"]
    return scores


def embedded(folder: Path, rows: Sequence[str], batch: int) -> Answers:
    """Return the embeddings of sentence-transformers, shape (rows, width)."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, model_kwargs={"attn_implementation": "eager"}
    )
    model.max_seq_length = min(LENGTH, model.max_seq_length or LENGTH)
    return np.asarray(model.encode(list(rows), batch_size=batch), dtype=np.float32)
