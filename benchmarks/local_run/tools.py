"""Run the two tools as processes: their configuration, and their cost in seconds and memory."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from benchmarks.local_run.phases import Phase, PhaseClock
from benchmarks.tooling import Cost, ToolFailedError, interpreter_of, timed

REQUIREMENTS: Final = Path(__file__).with_name("olive-requirements.txt")


def run_ours(
    model: Path, data: Path, work: Path, environment: Mapping[str, str]
) -> tuple[Cost, list[Phase], dict[str, Any]]:
    """Run `compression-runner run` with empty caches; return its cost, that of its phases, and report.json."""
    work.mkdir(parents=True)
    manifest = work / "job.yaml"
    manifest.write_text(yaml.safe_dump(_manifest(model, data, work)))
    command = [str(Path(sys.executable).with_name("compression-runner")), "run", str(manifest), "--workdir", str(work)]
    # 3 is a verdict other than Pass, which is a result too.
    clock = PhaseClock()
    cost = timed(command, environment, work / "log.txt", accepted=(0, 3), on_line=clock.on_line)
    return cost, clock.ended(cost), json.loads((work / "report.json").read_text())


def run_olive(
    model: Path, work: Path, python: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> tuple[Cost, Path]:
    """Run Olive's dynamic INT8, per channel, with empty caches; return its cost and the ONNX file."""
    work.mkdir(parents=True)
    configuration = work / "olive.json"
    configuration.write_text(json.dumps(_olive_configuration(model, work), indent=1))
    quiet = {"HF_HUB_OFFLINE": "1", "OLIVE_DISABLE_TELEMETRY": "1"}
    command = [str(python.with_name("olive")), "run", "--config", str(configuration)]
    cost = timed(command, {**quiet, **environment}, work / "log.txt", accepted=(0,))
    graph = olive_result(work)
    if not graph.is_file():
        raise ToolFailedError(f"Olive wrote no {graph.name}; see {work / 'log.txt'}")
    return cost, graph


def olive_result(work: Path) -> Path:
    """Return the path of the model of an Olive run in this folder."""
    return work / "out" / "model.onnx"


def olive_python() -> Path:
    """Return the interpreter of Olive's own environment."""
    return interpreter_of("olive", REQUIREMENTS)


def _manifest(model: Path, data: Path, work: Path) -> dict[str, Any]:
    return {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionJob",
        "metadata": {"name": "minilm-int8"},
        "spec": {
            "model": {"source": f"file://{model}", "task": "text-embedding"},
            "data": {"evaluation": {"source": f"file://{data}", "limit": 1000}},
            "pipeline": [{"quantize": {"method": "dynamic", "dtype": "int8", "granularity": "channel"}}],
            "sla": {
                "quality": {"metric": "cosine", "maxDrop": "0.01"},
                "latency": {"percentile": "p50", "minSpeedup": "1.3"},
                "size": {"maxRatio": "0.26"},
            },
            "output": {"destination": f"file://{work / 'published'}"},
        },
    }


def _olive_configuration(model: Path, work: Path) -> dict[str, Any]:
    """Return the shortest configuration that is equivalent to our manifest.

    The older exporter, Olive's default, does not run this version of transformers.
    """
    return {
        "input_model": {"type": "HfModel", "model_path": str(model), "task": "feature-extraction"},
        "passes": {
            "conversion": {"type": "OnnxConversion", "target_opset": 18, "use_dynamo_exporter": True},
            "quantization": {"type": "OnnxDynamicQuantization", "per_channel": True},
        },
        "no_artifacts": True,
        "output_dir": str(work / "out"),
        "cache_dir": str(work / "cache"),
    }
