"""The inputs of all rows: one model, one set of calibration windows, and what every checkpoint is asked."""

import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import sha256_of
from compression_runner.dataset import SampleSet, load_samples
from compression_runner.dataset.task_documents import TaskDocuments, read_task
from compressionjob.data import CalibrationData, EvaluationData
from compressionjob.task_data import EvaluationTask
from samples.bible import kjv
from samples.questions import questions
from samples.smollm import smollm2

WINDOW: Final = 256
"""Tokens of a window; windows do not overlap."""
CALIBRATION_WINDOWS: Final = 32
EVALUATION_WINDOWS: Final = 16
QUESTIONS: Final = 300
TRAINING: Final = "kjv-train.parquet"
TEST: Final = "kjv-test.parquet"
WORDS: Final = "words.jsonl"


@dataclass(frozen=True)
class Inputs:
    """A folder with the model, the calibration tokens and the data."""

    folder: Path

    @property
    def model(self) -> Path:
        """The folder of the unquantized model."""
        return self.folder / "model"

    @property
    def tokens(self) -> Path:
        """A JSON file of the calibration windows as lists of token ids, for every tool."""
        return self.folder / "tokens.json"

    @cached_property
    def windows(self) -> SampleSet:
        """The windows of the perplexity."""
        source = self.folder / TEST
        return self._samples(EvaluationData(source=f"file://{source}", limit=EVALUATION_WINDOWS), source)

    @cached_property
    def task(self) -> TaskDocuments:
        """The multiple-choice task of the recovery."""
        source = self.folder / WORDS
        task = EvaluationTask(name="words", source=f"file://{source}", kind="multiple-choice", limit=QUESTIONS)
        return read_task(task, source, "words")

    def digest(self) -> str:
        """Return the hash of the model, the calibration tokens and the data."""
        files = (self.model / "model.safetensors", self.tokens, self.folder / TEST, self.folder / WORDS)
        return " ".join(sha256_of(file)[:16] for file in files)

    def sizes(self) -> dict[str, int]:
        """Return how much every checkpoint is asked, and calibrated with."""
        return {
            "windowTokens": WINDOW,
            "calibrationWindows": CALIBRATION_WINDOWS,
            "windows": len(self.windows),
            "questions": len(self.task.documents),
            "choices": len(self.task.documents[0].choices),
        }

    def _samples(self, part: CalibrationData | EvaluationData, source: Path) -> SampleSet:
        return load_samples(part, source, task="text-generation", model_dir=self.model, sequence_length=WINDOW)

    def write_tokens(self) -> None:
        """Write the calibration windows."""
        source = self.folder / TRAINING
        part = CalibrationData(source=f"file://{source}", limit=CALIBRATION_WINDOWS)
        samples = self._samples(part, source).samples
        self.tokens.write_text(json.dumps([sample["input_ids"].tolist() for sample in samples]))


def prepared(folder: Path) -> Inputs:
    """Return the inputs, created if they are missing."""
    inputs, complete = Inputs(folder), folder / ".complete"
    sizes = f"{WINDOW} {CALIBRATION_WINDOWS} {EVALUATION_WINDOWS} {QUESTIONS}"
    if not complete.is_file() or complete.read_text() != sizes:
        shutil.rmtree(folder, ignore_errors=True)
        smollm2(folder / "float32")
        _in_bfloat16(folder / "float32", inputs.model)
        kjv(folder)
        questions(folder, QUESTIONS)
        inputs.write_tokens()
        complete.write_text(sizes)
    return inputs


def _in_bfloat16(source: Path, into: Path) -> None:
    """Write the model in the type in which language models are published, which vLLM serves as it is."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loader: Any = AutoModelForCausalLM
    loader.from_pretrained(source, dtype=torch.bfloat16, local_files_only=True).save_pretrained(into)
    AutoTokenizer.from_pretrained(source, local_files_only=True).save_pretrained(into)
    shutil.rmtree(source)
