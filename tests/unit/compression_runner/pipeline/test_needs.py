"""The memory forecast from sizes alone is not below the measured peaks, nor far above them."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from compression_runner.errors import InvalidInput
from compression_runner.formats.source.inspection import Source
from compression_runner.methods.registry import METHODS
from compression_runner.pipeline.forecast import memory_forecast, time_forecast
from compression_runner.pipeline.planner import PipelinePlan, Step
from compression_runner.pipeline.resources import check_memory
from compressionjob.methods.registry import Quantize
from compressionjob.spec import parse_job
from compressionjob.tasks import Task
from tests.support import manifests

MINILM, BERT_BASE, SMOLLM2 = 22_713_216, 109_482_240, 134_515_008
ROUNDED = Quantize(method="weight-only", dtype="int8", group_size=32)
CALIBRATED = Quantize(method="weight-only", dtype="int4", algorithm="gptq")


@dataclass(frozen=True)
class Sizes:
    """A source of which the sizes alone are known."""

    parameters: int
    weights_bytes: int


def source(parameters: int, weights_bytes: int = 0) -> Source:
    return cast(Source, Sizes(parameters, weights_bytes))


def plan(*names: str, quantize: Quantize | None = None) -> PipelinePlan:
    chosen = quantize.chosen() if quantize else None
    keys = {"quantize": ("quantize", chosen.variant if chosen else "dynamic")}
    parameters = {"quantize": chosen}
    steps = tuple(
        Step(name, METHODS[keys.get(name, (name, ""))], parameters.get(name), "", name, None, "onnx") for name in names
    )
    return PipelinePlan("", steps, None, None)


@pytest.mark.parametrize(
    ("steps", "task", "parameters", "peak"),
    [
        (("export", "quantize"), "text-embedding", MINILM, 1642e6),
        (("export", "quantize"), "text-embedding", BERT_BASE, 3402e6),
        (("quantize",), "text-embedding", MINILM, 1229e6),
        (("quantize",), "onnx", 100_000_000, 1875e6),
        (("quantize",), "onnx", 16_384, 299e6),
        (("quantize",), "tabular-classification", 5_000, 478e6),
        (("export", "quantize"), "image-classification", 500_000, 1376e6),
        (("factorize", "export"), "text-classification", MINILM, 1234e6),
    ],
)
def test_the_forecast_is_near_the_measured_peak(
    steps: tuple[str, ...], task: Task, parameters: int, peak: float
) -> None:
    """The peaks are those of whole runs, with libraries, data, and the remaining memory of earlier steps."""
    forecast = memory_forecast(plan(*steps), source(parameters), task)
    assert peak <= forecast.expected <= 1.5 * peak
    assert forecast.least <= peak


@pytest.mark.parametrize(
    ("steps", "quantize", "window", "peak"),
    [
        (("import", "export", "quantize"), ROUNDED, 256, 2939e6),
        (("export", "quantize"), ROUNDED, 1024, 4621e6),
        (("export", "quantize"), CALIBRATED, 1024, 5246e6),
        (("prune", "pack", "export"), None, 1024, 4017e6),
    ],
)
def test_a_language_model_needs_memory_for_the_tokens_of_a_window(
    steps: tuple[str, ...], quantize: Quantize | None, window: int, peak: float
) -> None:
    """The peaks are those of SmolLM2's examples."""
    forecast = memory_forecast(plan(*steps, quantize=quantize), source(SMOLLM2), "text-generation", window)
    assert peak <= forecast.expected <= 1.5 * peak
    assert forecast.least <= peak


def test_rounding_for_vllm_needs_as_little_as_for_onnx() -> None:
    def least(**parameters: Any) -> int:
        quantize = Quantize(method="weight-only", dtype="int4", **parameters)
        steps = plan("quantize", "export", quantize=quantize)
        return memory_forecast(steps, source(SMOLLM2), "text-generation", 256).least

    assert least(backend="vllm") == least() < least(backend="vllm", algorithm="gptq")


def test_insufficient_memory_is_refused_before_any_download() -> None:
    forecast = memory_forecast(plan("export", "quantize"), source(MINILM), "text-embedding")
    with pytest.raises(InvalidInput, match=r"900\.0 MB are allowed"):
        check_memory(forecast, 900_000_000)
    check_memory(forecast, forecast.least)


def test_weights_that_no_header_counts_have_the_size_of_their_file() -> None:
    uncounted, counted = source(0, 400_000_000), source(100_000_000, 400_000_000)
    one = plan("quantize")
    assert memory_forecast(one, uncounted, "onnx") == memory_forecast(one, counted, "onnx")


def test_more_weights_need_more_of_everything() -> None:
    spec = parse_job(manifests.job()).spec
    small, large = (time_forecast(plan("export", "quantize"), source(size), spec) for size in (MINILM, BERT_BASE))
    assert 0 < small.least < small.most
    assert small.least < large.least
    assert small.most < large.most


def test_training_is_reported_as_additional_time() -> None:
    class Learns:
        def needs(self) -> frozenset[str]:
            return frozenset({"training"})

    learning = Step("taught", METHODS["distill", ""], cast(Any, Learns()), "", "t", None, "transformers")
    spec = parse_job(manifests.job()).spec
    assert time_forecast(PipelinePlan("", (learning,), None, None), source(MINILM), spec).trained == ("taught",)
