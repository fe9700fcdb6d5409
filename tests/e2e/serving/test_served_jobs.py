"""Jobs whose models a real vLLM serves in a pod: one passes, and one fails because it is slower than the baseline."""

from collections.abc import Callable
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


def served_job(name: str, runtime: str, sla: dict[str, Any]) -> dict[str, Any]:
    """Return a job that quantizes SmolLM2 to INT4 for vLLM, and serves it."""
    task = {"name": "words", "source": "s3://data/words.jsonl", "kind": "multiple-choice", "limit": 100}
    return text_job(
        name,
        spec__model={"source": "s3://models/smollm2", "task": "text-generation"},
        spec__data={"evaluation": {"source": "s3://data/kjv-test.parquet", "limit": 8}, "tasks": [task]},
        spec__pipeline=[{"quantize": {"method": "weight-only", "dtype": "int4", "groupSize": 64, "backend": "vllm"}}],
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


@pytest.mark.usefixtures("language_model")
def test_one_job_passes_and_one_is_slower_than_its_baseline(
    submit: Callable[[dict[str, Any]], Job], runtime: str, store: Any
) -> None:
    passing = submit(served_job("served", runtime, WITHIN))
    slower = submit(served_job("slower", runtime, {**WITHIN, "interToken": {"percentile": "p50", "maxRatio": "0.5"}}))
    status = passing.wait_phase("Succeeded", seconds=1700)
    assert status["verdict"] == "Pass"
    report = report_of(store, passing)
    assert report.serving
    assert report.serving.check
    assert report.serving.engine.startswith("vllm ")
    assert report.serving.check.scales == 210
    assert report.serving.check.same > 0.9
    kinds = [item.name.rpartition(".")[2] for item in report.serving.check.changed]
    assert kinds == ["weight_packed", "weight_scale"]
    assert report.recovery
    assert [task.name for task in report.recovery.tasks] == ["words"]
    status = slower.wait_end(seconds=1700)
    assert status["verdict"] == "Fail"
    assert "interToken.ratio" in slower.condition("SLASatisfied")["message"]
