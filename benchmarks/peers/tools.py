"""Run the other tools, each as its own process; an unsupported case is reported."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.local_run.tools import olive_python, run_olive
from benchmarks.peers.subjects import Ready
from benchmarks.tooling import Cost, ToolFailedError, interpreter_of, timed

SCRIPTS: Final = Path(__file__).parent / "scripts"
REQUIREMENTS: Final = Path(__file__).with_name("neural-compressor-requirements.txt")


class NotPossible(Exception):
    """A tool does not support the case; the text explains why."""


@dataclass(frozen=True)
class ToolOutput:
    """The graph that a tool created, and its cost."""

    graph: Path
    cost: Cost


Tool = Callable[[Ready, Path], ToolOutput]


def plain_onnxruntime(ready: Ready, work: Path) -> ToolOutput:
    """Quantize with onnxruntime's own functions, per channel."""
    return _script("plain_onnxruntime.py", Path(sys.executable), ready, work)


def neural_compressor(ready: Ready, work: Path) -> ToolOutput:
    """Quantize with Intel Neural Compressor; with SmoothQuant for static ranges of transformers, as recommended."""
    return _script("neural_compressor.py", interpreter_of("neural-compressor", REQUIREMENTS), ready, work)


def olive(ready: Ready, work: Path) -> ToolOutput:
    """Quantize with Microsoft Olive."""
    if ready.subject.kind != "dynamic":
        raise NotPossible("static ranges need a dataset of its own kind or a script; not tried")
    python = olive_python()
    cost, graph = run_olive(Path(_source(ready)), work / "olive", python)
    return ToolOutput(graph, cost)


TOOLS: Final[Mapping[str, Tool]] = {
    "onnxruntime": plain_onnxruntime,
    "Neural Compressor": neural_compressor,
    "Olive": olive,
}


def versions() -> dict[str, str]:
    """Return the version of every tool."""
    pinned = dict(
        line.split("==")
        for place in (REQUIREMENTS, REQUIREMENTS.parents[1] / "local_run" / "olive-requirements.txt")
        for line in place.read_text().split()
        if "==" in line
    )
    return {
        "onnxruntime": version("onnxruntime"),
        "Neural Compressor": pinned["onnx-neural-compressor"],
        "Olive": pinned["olive-ai"],
    }


def _script(name: str, python: Path, ready: Ready, work: Path) -> ToolOutput:
    work.mkdir(parents=True)
    graph, batches = work / "model.onnx", work / "batches"
    ready.write_batches(batches)
    kind: str = ready.subject.kind
    if name == "neural_compressor.py" and kind == "static" and ready.spec.model.task.startswith("text"):
        kind = "smooth"
    command = [str(python), str(SCRIPTS / name), str(ready.full), str(graph), kind, str(batches)]
    cost = timed(command, {}, work / "log.txt")
    if not graph.is_file():
        raise ToolFailedError(f"{name} wrote no model; see {work / 'log.txt'}")
    return ToolOutput(graph, cost)


def _source(ready: Ready) -> str:
    from benchmarks.methods.cases import EXAMPLES

    return str((EXAMPLES / ready.spec.model.source.removeprefix("file://")).resolve())
