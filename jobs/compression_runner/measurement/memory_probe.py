"""A fresh process that loads a model, answers some queries and tells its peak memory.

`python -m compression_runner.measurement.memory_probe MODEL FEED.npz THREADS QUERIES` prints one line of JSON:
`peakBytes`, and `floorBytes`, what the process needed before it loaded the model. Imports onnxruntime and numpy only.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def peak_resident_bytes() -> int:
    """Return the greatest resident set of this process so far (VmHWM, proc(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM")


def main(model: str, feed: str, threads: str, queries: str) -> None:
    """Load, answer, print."""
    with np.load(feed, allow_pickle=False) as arrays:
        inputs = {name: arrays[name] for name in arrays.files}
    floor = peak_resident_bytes()
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    for _ in range(int(queries)):
        session.run(None, inputs)
    sys.stdout.write(json.dumps({"floorBytes": floor, "peakBytes": peak_resident_bytes()}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
