"""Ask onnxruntime for GPUs to run a graph where there is no GPU; prints JSON.

It runs in the environment of gpu.txt: `python without_gpu.py FOLDER`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import onnxruntime

from compression_runner.errors import RunnerError
from compression_runner.inference.gpu import not_available
from compression_runner.inference.opening import open_predictor
from compression_runner.inference.versions import engine_version
from compressionjob.engines import PROVIDER_ENGINES
from tests.support.half_supported import half_supported


def main(folder: Path) -> None:
    """Check each engine, and open a graph in it."""
    graph = half_supported(folder / "model.onnx", whole=True)
    results: dict[str, Any] = {
        "version": engine_version("onnxruntime-cuda"),
        "available": onnxruntime.get_available_providers(),
    }
    for engine in PROVIDER_ENGINES:
        results[engine] = {"check": not_available(engine), "opened": ["a session"]}
        try:
            open_predictor(graph, 1, engine).close()
        except RunnerError as error:
            results[engine]["opened"] = [type(error).__name__, error.problem]
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
