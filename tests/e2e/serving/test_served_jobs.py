"""Jobs whose models a real vLLM serves in a pod: one passes, and one fails because it is not fast enough."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from compressionjob.report import Report
from tests.e2e.harness import Job
from tests.e2e.jobs import BUCKET, text_job

pytestmark = [pytest.mark.serving, pytest.mark.timeout(3600)]

LATENCY: Final = {"percentile": "p50", "max": "60s"}
WITHIN: Final = {
    "quality": {"metric": "perplexity", "maxIncrease": "1.5"},
    "size": {"maxRatio": "0.5"},
    "ttft": LATENCY,
    "interToken": LATENCY,
    "goodput": {"min": "0.01"},
    "outputLength": {"minRatio": "0.5", "maxRatio": "2"},
    "recovery": {"min": "0.3"},
}


INT4: Final = {"method": "weight-only", "dtype": "int4", "groupSize": 64, "backend": "vllm"}
INT8: Final = {"method": "dynamic", "backend": "vllm"}


def served_job(name: str, runtime: str, quantize: dict[str, Any], sla: dict[str, Any]) -> dict[str, Any]:
    """Return a job that quantizes SmolLM2 for vLLM, and serves it."""
    task = {"name": "words", "source": "s3://data/words.jsonl", "kind": "multiple-choice", "limit": 100}
    return text_job(
        name,
        spec__model={"source": "s3://models/smollm2", "task": "text-generation"},
        spec__data={"evaluation": {"source": "s3://data/kjv-test.parquet", "limit": 8}, "tasks": [task]},
        spec__pipeline=[{"quantize": quantize}],
        spec__benchmark={
            "sequenceLength": 128,
            "timeLimit": "5m",
            "engine": "vllm",
            "serving": {"promptTokens": 64, "maxOutputTokens": 16, "concurrency": 2},
        },
        spec__sla=sla,
        spec__runtime=runtime,
        spec__deadline="1h",
    )


def report_of(store: Any, job: Job) -> Report:
    """Return the report of a job, from the object store."""
    body = store.get_object(Bucket=BUCKET, Key=f"results/{job.name}-report/report.json")["Body"].read()
    return Report.model_validate_json(body)


def require_served(report: Report, kinds: list[str]) -> None:
    """Check that the report has the engine's check of every scale, the load of both models, and the recovery."""
    assert report.serving
    assert report.serving.engine.startswith("vllm ")
    assert report.serving.check
    assert report.serving.check.scales == 210
    assert report.serving.check.same > 0.8
    assert [item.name.rpartition(".")[2] for item in report.serving.check.changed] == kinds
    for model in (report.serving.baseline, report.serving.compressed):
        assert {"ttft", "interToken"} <= set(model.latencies)
        assert model.failed == 0
        assert model.goodput
    assert report.recovery
    assert [task.name for task in report.recovery.tasks] == ["words"]


@pytest.mark.usefixtures("language_model")
def test_one_job_passes_and_one_is_slower_than_its_baseline(
    submit: Callable[[dict[str, Any]], Job], runtime: str, store: Any
) -> None:
    # vLLM's build for CPUs computes with INT4 weights on CPUs with AVX-512 only.
    packed = "avx512f" in Path("/proc/cpuinfo").read_text().split()
    passing = submit(served_job("served", runtime, INT4 if packed else INT8, WITHIN))
    twice_as_fast = {"percentile": "p50", "maxRatio": "0.5"}
    slower = submit(served_job("slower", runtime, INT8, {**WITHIN, "interToken": twice_as_fast}))
    status = passing.wait_phase("Succeeded", seconds=1700)
    assert status["verdict"] == "Pass"
    require_served(report_of(store, passing), ["weight_packed" if packed else "weight", "weight_scale"])
    status = slower.wait_end(seconds=1700)
    assert status["verdict"] == "Fail"
    assert "interToken.ratio" in slower.condition("SLASatisfied")["message"]
    require_served(report_of(store, slower), ["weight", "weight_scale"])
