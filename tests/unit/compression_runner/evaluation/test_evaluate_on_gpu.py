"""A whole measurement with a provider for GPUs, in whose place another provider of this machine runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.evaluate import measure
from compression_runner.evaluation.measurements import MeasuredModel
from compression_runner.inference import placement
from compressionjob.spec import CompressionJobSpec
from tests.support.providers import use_provider
from tests.support.short_measurements import measure_shortly

SPEC = CompressionJobSpec.model_validate(
    {
        "model": {"source": "file:///models/m", "task": "image-classification"},
        "data": {"evaluation": {"source": "file:///data/d.npz"}},
        "pipeline": [{"quantize": {"method": "cast", "dtype": "float16"}}],
        "sla": {"quality": {"metric": "accuracy", "maxDrop": "0.1"}, "latency": {"percentile": "p50", "max": "1s"}},
        "benchmark": {"engine": "onnxruntime-cuda"},
        "output": {"destination": "file:///models/out"},
    }
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_shortly(monkeypatch)


@pytest.fixture
def models(linear_model: Callable[..., Path]) -> tuple[MeasuredModel, MeasuredModel]:
    """Return a classifier, and one with slightly different weights."""
    weights = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    return MeasuredModel(linear_model("before", weights), 2000), MeasuredModel(linear_model("after", weights + 1e-4), 9)


@pytest.fixture
def data() -> SampleSet:
    """Return samples with the labels of the first classifier."""
    weights = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    rows = np.random.default_rng(2).normal(size=(300, 16)).astype(np.float32)
    labels = (rows @ weights).argmax(axis=1).astype(np.int64)
    return SampleSet(samples=[{"x": row} for row in rows], digest="sha256:0", labels=labels)


@pytest.mark.filterwarnings("ignore:Duplicate provider")
def test_the_report_says_where_the_nodes_ran(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The provider of this machine's CPU in the place of CUDA's, and no other provider is the CPU's.
    use_provider(monkeypatch, "CPUExecutionProvider")
    monkeypatch.setattr(placement, "CPU_PROVIDER", "none")
    measured = measure(SPEC, *models, data)
    assert measured.environment.device == "GPU"
    assert measured.environment.measured_in.endswith(" (CPUExecutionProvider)")
    assert [(part.model, part.nodes) for part in measured.environment.placement] == [
        ("baseline", {"CPUExecutionProvider": 1}),
        ("compressed", {"CPUExecutionProvider": 1}),
    ]
    assert measured.compressed.energy_joules_per_sample is None, "that of the processors is another device's"
    assert measured.judgement(SPEC.sla).verdict == "Pass"


def test_nothing_that_ran_on_the_cpu_counts(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_provider(monkeypatch, "AzureExecutionProvider")
    with pytest.raises(InvalidInput, match=r"1 of 1 nodes ran on the CPU and not in AzureExecutionProvider: MatMul"):
        measure(SPEC, *models, data)
