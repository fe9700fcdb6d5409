"""What a checkpoint answers: vLLM to windows of text, and the judged graph to the same windows and to questions."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.checkpoints.inputs import WINDOW, Inputs
from compression_runner.artifact import Format, seal
from compression_runner.dataset.texts import load_tokenizer
from compression_runner.evaluation.answers.next_tokens import next_tokens
from compression_runner.evaluation.machine.cpus import usable_cpus
from compression_runner.evaluation.recovery.harness import scores
from compression_runner.evaluation.recovery.language_model import Graph
from compression_runner.evaluation.statistics.paired_shares import Marks
from compression_runner.inference.opening import open_predictor
from compression_runner.inference.serving import vllm
from compression_runner.inference.serving.server import ServerProcess
from compression_runner.inference.similarity import Floats
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext

LONGEST: Final = 2 * WINDOW
"""Most tokens of a request to vLLM."""
POSITIONS: Final = 8192
"""Most tokens of the model."""


@dataclass(frozen=True)
class Judged:
    """Answers of the judged graph: losses and tokens of the windows, and which questions are answered right."""

    rows: Floats
    right: Marks


def served(checkpoint: Path, inputs: Inputs, log: Path) -> Floats:
    """Return what vLLM predicts with a checkpoint at all places of all windows, shaped as by `next_tokens`.

    Raises ServerFailedError if vLLM does not load it.
    """
    plan = vllm.ServerPlan(longest=LONGEST, threads=usable_cpus(), cache_gib=1)
    windows = [sample["input_ids"].tolist() for sample in inputs.windows.samples]
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess(vllm.command_of(checkpoint, plan, Path(folder), log)) as server,
    ):
        return np.stack([_row(vllm.predictions(server.url, window)) for window in windows])


def _row(places: Sequence[vllm.PlacePrediction]) -> Floats:
    """Return losses, tokens and unknown divergences, shape (3, places)."""
    losses, tokens = [place.loss for place in places], [place.likely for place in places]
    return np.asarray([losses, tokens, np.full(len(places), np.nan)], dtype=np.float32)


def judged(checkpoint: Path, kind: Format, inputs: Inputs) -> Judged:
    """Return the answers of the graph that a job judges for this checkpoint."""
    artifact = seal(checkpoint, kind, "text-generation")
    with tempfile.TemporaryDirectory() as folder:
        context = StageContext(Path(folder), "spec.pipeline[0].quantize")
        graph = METHODS["export", ""].run(artifact, None, context).artifact.model_file
        with open_predictor(graph, 1, "onnxruntime") as predictor:
            rows = next_tokens(predictor, inputs.windows, batch_size=1)
            return Judged(rows, scores(inputs.task, Graph(predictor, load_tokenizer(inputs.model), POSITIONS)))
