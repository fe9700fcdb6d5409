"""A real run of the runner in this process with a tiny model. It serves its metrics as in a pod."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compression_runner.pipeline.run import Run, execute
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.storage import Stores
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.progress import RunProgress
from compression_runner.telemetry.server import serve
from compressionjob.report import Report
from compressionjob.spec import parse_job

# At about 0.3 ms a query it is slow enough to use more than the first bucket of the histogram.
WIDTH, HIDDEN, CLASSES = 512, 4096, 8
ADDRESS = "127.0.0.9"
"""Address of the pod. No other test uses it, so only this run's operators poll this server."""


def manifest(name: str, folder: Path) -> dict[str, Any]:
    """Return a CompressionJob with the files of ``write_files``."""
    return {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionJob",
        "metadata": {"name": name},
        "spec": {
            "model": {"source": f"file://{folder}/model.onnx", "task": "onnx"},
            "data": {"evaluation": {"source": f"file://{folder}/inputs.npz"}},
            "pipeline": [{"quantize": {"method": "dynamic", "dtype": "int8"}}, {"pack": {"codec": "zstd"}}],
            "sla": {
                "size": {"maxRatio": "0.6"},
                "latency": {"percentile": "p90", "max": "1s"},
                "memory": {"max": "4Gi"},
            },
            "output": {"destination": f"file://{folder}/destination"},
        },
    }


def write_files(folder: Path) -> None:
    """Write a two-layer network and its inputs."""
    random = np.random.default_rng(7)
    shapes = {"first": (WIDTH, HIDDEN), "second": (HIDDEN, CLASSES)}
    weights = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "first"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["active"]),
            helper.make_node("MatMul", ["active", "second"], ["logits"]),
        ],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    np.savez(folder / "inputs.npz", x=random.normal(size=(256, WIDTH)).astype(np.float32))


@dataclass(frozen=True)
class Telemetry:
    """Progress and metrics of a pod, served on the runner's port."""

    progress: RunProgress
    metrics: RunMetrics

    def run(self, job: dict[str, Any], folder: Path) -> Report:
        """Run a job; return its report."""
        parsed = parse_job(job)
        locations = of_trial(parsed.spec, Stores(environment={}, base=Path("/")), folder / "work")
        return execute(Run(parsed, locations, self.progress, self.metrics))


@contextmanager
def serving() -> Iterator[Telemetry]:
    """Serve telemetry as a pod does, until the block ends."""
    metrics = RunMetrics()
    progress = RunProgress([metrics])
    server = serve(progress, metrics, host=ADDRESS)
    try:
        yield Telemetry(progress, metrics)
    finally:
        server.shutdown()
        server.server_close()
