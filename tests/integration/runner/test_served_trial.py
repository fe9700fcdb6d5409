"""A local trial of a language model on a serving engine, which is a stand-in with known latencies."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from compressionjob.pod_interface import ENGINES_VARIABLE
from tests.support import tiny_models
from tests.support.engines import stand_in_vllm
from tests.support.forked import ForkedRunner

TEXT = ["in the beginning was the word and the word was made of bytes and there were many of them"] * 40


def write_job(folder: Path, **sla: Any) -> Path:
    """Return the manifest of a job that prunes a tiny language model and serves it."""
    tiny_models.llama(folder / "llama")
    pq.write_table(pa.table({"text": TEXT}), folder / "text.parquet")
    spec = {
        "model": {"source": "file://./llama", "task": "text-generation"},
        "data": {"evaluation": {"source": "file://./text.parquet", "limit": 20}},
        "pipeline": [{"prune": {"sparsity": "0.1"}}, {"pack": {"codec": "zstd"}}],
        "benchmark": {
            "sequenceLength": 32,
            "timeLimit": "12s",
            "engine": "vllm",
            "serving": {"promptTokens": 16, "maxOutputTokens": 8, "concurrency": 2},
        },
        "sla": sla,
        "output": {"destination": "file://./published"},
    }
    job = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionJob",
        "metadata": {"name": "tiny-served"},
        "spec": spec,
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return folder / "job.yaml"


def runner(engines: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return ForkedRunner(arguments, os.environ | {ENGINES_VARIABLE: str(engines)}).end(timeout=500)


def test_limits_on_served_requests_are_judged_and_reported(tmp_path: Path) -> None:
    engines, work = tmp_path / "engines", tmp_path / "work"
    stand_in_vllm(engines, json.dumps({"ttft": 0.01, "gap": 0.002, "length": 5}))
    job = write_job(
        tmp_path,
        ttft={"percentile": "p50", "max": "60s"},
        interToken={"percentile": "p50", "max": "60s"},
        endToEnd={"percentile": "p50", "max": "1ms"},
        goodput={"min": "0.001"},
        outputLength={"minRatio": "0.9", "maxRatio": "1.1"},
    )
    planned = runner(engines, "plan", job)
    assert "served by: vLLM, requests 2 at a time, prompts of 16 tokens" in " ".join(planned.stdout.split())
    ended = runner(engines, "run", job, "--workdir", work)
    report = json.loads((work / "report.json").read_text())
    verdicts = {item["name"]: item["verdict"] for item in report["objectives"]}
    # No answer ends within a millisecond, unless other processes took the rest of its time.
    assert verdicts.pop("endToEnd") in ("Fail", "Inconclusive")
    # On a busy machine there may be too few requests in the time for a percentile of one value each.
    assert verdicts.pop("ttft") in ("Pass", "Inconclusive")
    assert verdicts == {
        "interToken": "Pass", "goodput": "Inconclusive", "outputLength.minRatio": "Pass",
        "outputLength.maxRatio": "Pass",
    }, ended.stderr  # fmt: skip
    serving = report["serving"]
    assert serving["engine"] == "vllm 1.2.3"
    assert serving["compressed"]["failed"] == serving["baseline"]["failed"] == 0
    assert serving["compressed"]["outputTokens"] == 5
    assert serving["check"]["difference"] < 1e-4
    assert (serving["check"]["same"], serving["check"]["scales"], serving["check"]["changed"]) == (1.0, 0, [])
    assert 0.01 < serving["compressed"]["latencies"]["ttft"]["percentiles"]["p50"]["value"] < 60
    assert "requests to each model" in (work / "report.html").read_text()


def test_a_missing_engine_ends_the_run_before_anything_is_fetched(tmp_path: Path) -> None:
    job = write_job(tmp_path, ttft={"max": "60s"})
    for command in (("plan", job), ("run", job, "--workdir", tmp_path / "work")):
        ended = runner(tmp_path / "engines", *command)
        assert ended.returncode == 2
        assert "spec.benchmark.engine (vllm): the runner's image has no vllm" in ended.stderr
        assert "fetch" not in ended.stderr
