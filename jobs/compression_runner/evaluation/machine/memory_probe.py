"""A fresh process that loads a model, answers some queries and prints its peak memory.

`python -m compression_runner.evaluation.machine.memory_probe MODEL FEED.npz THREADS QUERIES ENGINE PROVIDERS TASK
[GPU]` prints one line of JSON: `peakBytes`, and `floorBytes`, the memory before it loaded the model. PROVIDERS are
those of onnxruntime with their options, as JSON; TASK is that of a model in PyTorch. Imports numpy and the engine only;
PyTorch also needs transformers and the modules that load a folder. With the UUID of a GPU, `gpuBytes` is the memory
that this process has there after its answers; null if the driver does not report it.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Answer = Callable[[Mapping[str, NDArray[np.generic]]], object]
ENOUGH_SECONDS = 20.0
"""A slow model answers two queries, and none after this time: nearly all of the peak is in the first."""
Start = Callable[[str], Answer]
"""Loads a model, and returns a function that answers with it."""


def peak_resident_bytes() -> int:
    """Return the greatest resident set of this process so far (VmHWM, proc(5))."""
    return _status_bytes("VmHWM")


def resident_bytes() -> int:
    """Return the resident set of this process (VmRSS, proc(5))."""
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def main(
    model: str, feed: str, threads: str, queries: str, engine: str, providers: str, task: str, gpu: str = ""
) -> None:
    """Load, answer, print."""
    with np.load(feed, allow_pickle=False) as arrays:
        inputs = {name: arrays[name] for name in arrays.files}
    # Engines take texts as Python objects, which the file cannot hold.
    inputs = {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in inputs.items()}
    if engine.startswith("torch"):
        start, floor = _torch(int(threads), engine, task)
    elif engine == "openvino":
        start, floor = _openvino(int(threads))
    else:
        start, floor = _onnxruntime(int(threads), json.loads(providers))
    answer, began = start(model), time.monotonic()
    for query in range(int(queries)):
        if query >= 2 and time.monotonic() - began > ENOUGH_SECONDS:
            break
        answer(inputs)
    figures = {"floorBytes": floor, "peakBytes": peak_resident_bytes(), "gpuBytes": _gpu_bytes(gpu) if gpu else None}
    sys.stdout.write(json.dumps(figures) + "\n")


def _gpu_bytes(uuid: str) -> int | None:
    """Return the memory of this process on a GPU; its import comes after the peak of the host."""
    from compression_runner.gpu.card import open_card

    card = open_card(uuid)
    if card is None:
        return None
    size = card.bytes_of(os.getpid())
    card.close()
    return size


def _onnxruntime(threads: int, providers: list[tuple[str, dict[str, str]]]) -> tuple[Start, int]:
    import onnxruntime

    if len(providers) > 1:
        with redirect_stdout(sys.stderr):  # it prints what it cannot load
            onnxruntime.preload_dlls(directory="")

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3

    def start(model: str) -> Answer:
        chosen = [(name, given) for name, given in providers]
        session = onnxruntime.InferenceSession(model, options, providers=chosen)
        return lambda inputs: session.run(None, dict(inputs))

    return start, peak_resident_bytes()


def _openvino(threads: int) -> tuple[Start, int]:
    import openvino

    from compression_runner.inference.openvino_settings import cpu_settings

    core = openvino.Core()

    def start(model: str) -> Answer:
        compiled: Any = core.compile_model(core.read_model(model), "CPU", cpu_settings(threads))
        request: Any = compiled.create_infer_request()
        return lambda inputs: request.infer(dict(inputs))

    return start, peak_resident_bytes()


def _torch(threads: int, engine: Any, task: Any) -> tuple[Start, int]:
    from compression_runner.formats.torch_folder import open_folder

    def start(model: str) -> Answer:
        return open_folder(Path(model), task, threads, engine).run

    return start, peak_resident_bytes()


if __name__ == "__main__":
    main(*sys.argv[1:])
