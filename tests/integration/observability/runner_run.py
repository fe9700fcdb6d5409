"""A real run of the runner in this process, on a model that is tiny, with its metrics served as in a pod."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compression_runner.pipeline.places import of_trial
from compression_runner.pipeline.run import Run, execute
from compression_runner.storage import Stores
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.progress import RunProgress
from compression_runner.telemetry.server import serve
from compressionjob.report import Report
from compressionjob.spec import parse_job

# Slow enough, at some 0.3 ms a query, for the first bucket of the histogram not to take it all.
WIDTH, HIDDEN, CLASSES = 512, 4096, 8
ADDRESS = "127.0.0.9"
"""The pod's address: no other test has a pod there, so only this run's operators see this server."""


def manifest(name: str, folder: Path) -> dict[str, Any]:
    """A CompressionJob on the files that ``write_files`` makes."""
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
    """A two-layer network and inputs for it."""
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
    """What a pod tells while it works, served on the runner's port."""

    progress: RunProgress
    metrics: RunMetrics

    def run(self, job: dict[str, Any], folder: Path) -> Report:
        """Run a job to its report."""
        parsed = parse_job(job)
        places = of_trial(parsed.spec, Stores(environment={}, base=Path("/")), folder / "work")
        return execute(Run(parsed, places, self.progress, self.metrics))


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
