"""Check that the serving engine loads the result as it is published, and answers as the judged graph does.

Quality is measured on a graph that stands for the result. An engine may load a checkpoint and ignore its scales, or
compute otherwise than the graph. Both would make the verdict one about another model. So the engine starts in a process
of its own, once with the result, and once for each kind of quantized tensor with one changed tensor.
"""

import http.client
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.errors import WORK_REMEDY, BadRecipe, room_on
from compression_runner.evaluation.answers.next_tokens import next_tokens
from compression_runner.evaluation.serving.servers import ENGINE_FIELD, FAILED, repeat_last_lines
from compression_runner.formats.changed_checkpoint import quantized_tensors, write_changed
from compression_runner.formats.compressed_checkpoint import rounds_inputs
from compression_runner.inference.predictor import Predictor
from compression_runner.inference.serving import vllm
from compression_runner.inference.serving.server import (
    Command,
    ServerFailedError,
    ServerProcess,
    StatusError,
    error_in,
)
from compressionjob.figures import short_number
from compressionjob.report import ChangedTensor, EngineCheck

TEXTS: Final = 8
MOST_TOKENS: Final = 512
"""Largest number of tokens of a text; a longer one is cut."""
LEAST_CHANGE: Final = 0.01
"""Smallest mean difference of losses that a changed tensor must make, in nats."""
MOST_CHANGED: Final = 4
MOST_LISTED: Final = 3
TOKENS: Final = "input_ids"
REMEDY: Final = "use another dtype, algorithm or groupSize of the stage, or another backend, and report this"


class RunningServer(Protocol):
    """A server that answers at this address."""

    url: str


@dataclass(frozen=True)
class Tolerance:
    """The largest mean difference of the loss of a token, in nats, and the smallest share of equal probable tokens."""

    difference: float
    same: float


FLOATS: Final = Tolerance(difference=0.2, same=0.9)
"""Engines compute in 16 bits, and the graph in 32.

Measured with SmolLM2-135M: 0.04 nats unquantized, 0.05 in INT4, and 0.85 with the scales of one layer at zero.
"""
ROUNDED: Final = Tolerance(difference=0.4, same=0.8)
"""The tolerance for models that round their inputs, which makes whole steps of differences in the last bit.

Measured with SmolLM2-135M in W8A8: 0.26 nats and 88 %, after SmoothQuant 0.18 nats and 90 %.
"""
Start = Callable[[Command], AbstractContextManager[RunningServer]]


@dataclass(frozen=True)
class Predicted:
    """The losses (nats) and most probable tokens at all places of all texts, both of shape (places,)."""

    losses: NDArray[np.float64]
    likely: NDArray[np.int64]

    def difference(self, other: "Predicted") -> float:
        """Return the mean difference of losses, without its sign."""
        return float(np.abs(self.losses - other.losses).mean())

    def same(self, other: "Predicted") -> float:
        """Return the share of places with the same most probable token."""
        return float((self.likely == other.likely).mean())


@dataclass(frozen=True)
class CheckedModel:
    """A result as published, the command of its server, and a folder for changed copies."""

    folder: Path
    command: Command
    scratch: Path


def checked_texts(data: SampleSet, tokens: int) -> SampleSet:
    """Return the beginnings of the first texts, of one length of at most `tokens`."""
    rows = range(min(TEXTS, len(data)))
    length = min(tokens, MOST_TOKENS, *(data.length(row) for row in rows))
    samples = [{name: values[:length] for name, values in data.samples[row].items()} for row in rows]
    return replace(data.only(rows), samples=samples)


def judged(graph: Predictor, texts: SampleSet) -> Predicted:
    """Return what the judged graph predicts."""
    rows = next_tokens(graph, texts, batch_size=1)
    return Predicted(rows[:, 0].flatten().astype(np.float64), rows[:, 1].flatten().astype(np.int64))


def require_loaded(
    model: CheckedModel,
    texts: SampleSet,
    expected: Predicted,
    advance: Callable[[float], None],
    start: Start = ServerProcess,
) -> EngineCheck:
    """Return the figures of the check.

    Raises BadRecipe if the engine does not load the result, or loads another model than the judged one.
    """
    prompts = [[int(token) for token in sample[TOKENS]] for sample in texts.samples]
    changed_tensors = quantized_tensors(model.folder)[:MOST_CHANGED]
    with _started(vllm.with_readable_scales(model.command), "the compressed model", start) as server:
        with _answering("about itself and its scales", model.command.log):
            engine = f"{vllm.NAME} {vllm.version_at(server.url)}"
            scales = vllm.compare_scales(server.url, model.folder)
        _require_scales(engine, scales)
        loaded = _predicted(server.url, prompts, model.command.log)
    difference, same = loaded.difference(expected), loaded.same(expected)
    tolerance = ROUNDED if rounds_inputs(model.folder) else FLOATS
    _require_same(engine, difference, same, tolerance, len(loaded.losses))
    changes = []
    for index, name in enumerate(changed_tensors, start=1):
        advance(index / (len(changed_tensors) + 1))
        change = _change(model, name, prompts, loaded, start)
        if not change >= LEAST_CHANGE:
            problem = f"{engine} answers alike if {name} has other values: it does not use the tensor"
            raise _refused(problem)
        changes.append(ChangedTensor(name=name, difference=change))
    return EngineCheck(
        places=len(loaded.losses), difference=difference, same=same, scales=scales.tensors, changed=changes
    )


def _require_scales(engine: str, scales: vllm.ScaleComparison) -> None:
    if not scales.missing:
        return
    listed = [f"{name} ({count} values)" for name, count in sorted(scales.missing.items())]
    more = f", and {len(listed) - MOST_LISTED} more" if len(listed) > MOST_LISTED else ""
    raise _refused(f"{engine} has not loaded scales of the checkpoint: {', '.join(listed[:MOST_LISTED])}{more}")


def _require_same(engine: str, difference: float, same: float, tolerance: Tolerance, places: int) -> None:
    if not difference <= tolerance.difference:
        problem = (
            f"the loss of a token in {engine} differs from the judged model's by {short_number(difference, 3)} nats on "
            f"average, over {tolerance.difference}"
        )
        raise _refused(problem)
    if same < tolerance.same:
        problem = (
            f"the most probable token in {engine} is the judged model's at {100 * same:.0f} % of {places:,} places, "
            f"under {100 * tolerance.same:.0f} %"
        )
        raise _refused(problem)


def _change(model: CheckedModel, name: str, prompts: Sequence[Sequence[int]], loaded: Predicted, start: Start) -> float:
    """Return the mean difference of losses that other values of a tensor make."""
    folder = model.scratch / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    with room_on(folder, "workdir", WORK_REMEDY):
        write_changed(model.folder, name, folder)
    arguments = [str(folder) if item == str(model.folder.absolute()) else item for item in model.command.arguments]
    with _started(replace(model.command, arguments=arguments), f"the model with another {name}", start) as server:
        difference = _predicted(server.url, prompts, model.command.log).difference(loaded)
    shutil.rmtree(folder)
    return difference


def _started(command: Command, what: str, start: Start) -> AbstractContextManager[RunningServer]:
    try:
        return start(command)
    except ServerFailedError as failure:
        repeat_last_lines(vllm.NAME, command.log)
        raise _failed(f"does not serve {what}: it did not start: {failure} (log: {command.log})") from failure


def _predicted(url: str, prompts: Sequence[Sequence[int]], log: Path) -> Predicted:
    with _answering("with probabilities of tokens", log):
        places = [place for prompt in prompts for place in vllm.predictions(url, prompt)]
    losses = np.array([place.loss for place in places])
    return Predicted(losses, np.array([place.likely for place in places]))


@contextmanager
def _answering(what: str, log: Path) -> Iterator[None]:
    """Convert the errors of requests whose answer is missing or cannot be read to BadRecipe."""
    try:
        yield
    except (OSError, http.client.HTTPException, KeyError, ValueError) as error:
        repeat_last_lines(vllm.NAME, log)
        # A worker that dies at a request says why in the log, and the answer does not.
        own_words = str(error) if isinstance(error, StatusError) else type(error).__name__
        reason = (error_in(log.read_text(errors="replace")) if log.is_file() else "") or own_words
        raise _failed(f"does not answer {what} ({reason}; log: {log})") from error


def _refused(problem: str) -> BadRecipe:
    return BadRecipe("NotLoadable", ENGINE_FIELD, vllm.NAME, problem, REMEDY)


def _failed(problem: str) -> BadRecipe:
    return BadRecipe(
        FAILED, ENGINE_FIELD, vllm.NAME, f"{vllm.NAME} {problem}", "use other stages or parameters of them"
    )
