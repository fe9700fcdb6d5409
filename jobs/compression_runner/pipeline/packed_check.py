"""Load the packed result in a fresh process, as its users do, and compare it with the graph that is judged.

A library may load a checkpoint and ignore its scales, or the evaluation may read it otherwise than users do. Both would
make the verdict one about another model.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.artifact import Artifact
from compression_runner.errors import FULL, WORK_REMEDY, BadRecipe, room_on
from compression_runner.inference.onnx_session import open_session
from compression_runner.pipeline.names import PACKED_FORMAT

TOLERANCE: Final = 1e-3
"""Largest difference of logits, relative to the largest logit: both compute in float32, in another order."""
ROUNDED_TOLERANCE: Final = 0.1
"""Largest root mean square of the difference, relative to that of the logits, for a model that rounds its inputs.

compressed-tensors divides the largest magnitude of a token by 127.5, and vLLM and the judged graph by 127. So values
near the middle of two steps are rounded to other ones.
"""
TIMEOUT_SECONDS: Final = 3600
MAX_LISTED: Final = 3
PAST: Final = "past_key_values."
REMEDY: Final = "use backend onnxruntime, or another backend for vLLM, and report this"


def require_same_model(artifact: Artifact, graph: Path, field: str, scratch: Path) -> None:
    """Raise BadRecipe, with the names of the tensors, if users do not load the model that the graph stands for."""
    scratch.mkdir(parents=True, exist_ok=True)
    with room_on(scratch, "workdir", WORK_REMEDY):
        loaded = _load(artifact.path, scratch / "loaded.npz", field)
    problems = loaded["problems"].tolist()
    if problems:
        more = f", and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
        raise _refused(field, f"transformers does not load it whole: {'; '.join(problems[:MAX_LISTED])}{more}")
    # Only now, so that the graph and the loaded model are not in memory at once.
    # It imports torch, which only jobs with such a result need.
    from compression_runner.formats.compressed_checkpoint import rounds_inputs

    require = _require_similar_logits if rounds_inputs(artifact.path) else _require_equal_logits
    require(loaded["logits"], _logits(open_session(graph), loaded["tokens"]), field)


def _load(folder: Path, result: Path, field: str) -> Mapping[str, NDArray[Any]]:
    command = [sys.executable, "-m", "compression_runner.formats.packed_loading", str(folder), str(result)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        problem = f"transformers did not load it in {TIMEOUT_SECONDS:g} s"
        remedy = "give the runtime more CPUs, or use a smaller model"
        raise BadRecipe("NotLoadable", field, PACKED_FORMAT, problem, remedy) from error
    if ended.returncode == -signal.SIGKILL:
        remedy = "give the runtime more memory"
        raise BadRecipe(
            "OutOfMemory", field, PACKED_FORMAT, "loading the result needs more memory than the pod has", remedy
        )
    if ended.returncode != 0:
        failure = _failure(ended)
        if failure["errno"] in FULL:
            raise OSError(failure["errno"], os.strerror(failure["errno"]), str(result))
        raise _refused(field, f"transformers does not load it: {failure['problem']}")
    with np.load(result, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _failure(ended: subprocess.CompletedProcess[str]) -> Mapping[str, Any]:
    """Return the answer of a process that failed; it has written none if it ended outside Python."""
    try:
        answer: Mapping[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return {"problem": answer["problem"], "errno": answer["errno"]}
    except (IndexError, KeyError, TypeError, ValueError):
        return {"problem": f"the process ended with exit code {ended.returncode}", "errno": None}


def _logits(session: Any, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the logits of a graph for whole texts (texts, tokens), with an empty cache."""
    types = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
    feed: dict[str, NDArray[Any]] = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
    for node in session.get_inputs():
        if node.name.startswith(PAST):
            sizes = (size if isinstance(size, int) else 0 for size in node.shape[1:])
            feed[node.name] = np.zeros((len(tokens), *sizes), types[node.type])
    names = {node.name for node in session.get_inputs()}
    given = {name: value for name, value in feed.items() if name in names}
    answers: NDArray[np.float32] = session.run([session.get_outputs()[0].name], given)[0]
    return answers


def _require_similar_logits(loaded: NDArray[np.float32], judged: NDArray[np.float32], field: str) -> None:
    """Raise BadRecipe for logits that differ by more than rounding does."""
    difference = float(np.sqrt(np.square(loaded - judged).mean() / np.square(judged).mean()))
    if not difference <= ROUNDED_TOLERANCE:
        problem = (
            f"its logits in transformers differ from those judged by {100 * difference:.3g} % (root mean square), over "
            f"{100 * ROUNDED_TOLERANCE:.0f} %"
        )
        raise _refused(field, problem)


def _require_equal_logits(loaded: NDArray[np.float32], judged: NDArray[np.float32], field: str) -> None:
    """Raise BadRecipe for other logits. Equal ones also give equal greedy tokens, except at ties."""
    limit = TOLERANCE * float(np.abs(judged).max(initial=1.0))
    difference = float(np.abs(loaded - judged).max())
    if not difference <= limit:
        raise _refused(
            field, f"its logits in transformers differ from those judged by {difference:.3g}, over {limit:.3g}"
        )


def _refused(field: str, problem: str) -> BadRecipe:
    return BadRecipe("NotLoadable", field, PACKED_FORMAT, problem, REMEDY)
