"""Plans of jobs with models in local folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compression_runner.formats.headers.tensors import Tensor
from compression_runner.formats.source.inspection import Source, inspect
from compression_runner.pipeline.planner import PipelinePlan, make_plan
from compression_runner.storage import Store, Stores
from compressionjob.locations import Storage, parse_location
from compressionjob.pod_interface import Role
from compressionjob.spec import CompressionJobSpec


def open_store(place: Path) -> Store:
    """Return the store of a local directory or file, as the model's source."""
    location = parse_location(f"file://{place}")
    return Stores().open(location, Storage(), Role.MODEL, "spec.model.source")


def checkpoint_source(shapes: Mapping[str, tuple[int, ...]], **config: Any) -> Source:
    """Return a Transformers checkpoint with these tensors in its headers and `config` in config.json."""
    tensors = tuple(Tensor(name, "F32", shape, 0) for name, shape in shapes.items())
    files: tuple[Any, ...] = ()
    return Source("transformers", "text-classification", files, frozenset(), tensors, "AnyModel", config=config)


def plan_for(place: Path, task: str, *stages: dict[str, Any], format: str = "auto") -> PipelinePlan:
    """Return the plan of a job with calibration data and output format `format`."""
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": f"file://{place}", "task": task},
            "data": {"evaluation": {"source": "file:///data.npz"}, "calibration": {"source": "file:///other.npz"}},
            "pipeline": list(stages),
            "output": {"destination": "file:///out", "format": format},
        }
    )
    return make_plan(spec, inspect(open_store(place), spec.model))


def onnx_spec(place: Path = Path("/model.onnx"), **changes: Any) -> CompressionJobSpec:
    """Return a job with an ONNX graph and an .npz of its inputs."""
    spec = {
        "model": {"source": f"file://{place}", "task": "onnx"},
        "data": {"evaluation": {"source": "file:///data.npz"}},
        "pipeline": [{"quantize": {}}],
        "sla": {"size": {"maxRatio": "2"}},
        "output": {"destination": "file:///out"},
    }
    return CompressionJobSpec.model_validate(spec | changes)
