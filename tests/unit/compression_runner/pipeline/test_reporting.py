"""report.json of a fixed run equals the stored one: other programs and later versions read its keys."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compression_runner import artifact as artifacts
from compression_runner.artifact import Packing
from compression_runner.dataset import SampleSet
from compression_runner.evaluation import report_figures
from compression_runner.evaluation.machine.execution import Execution
from compression_runner.evaluation.machine.gpu_noise import GpuNoise
from compression_runner.evaluation.machine.memory import MemoryFigures
from compression_runner.evaluation.machine.noise import Noise
from compression_runner.evaluation.measurements import Measurements
from compression_runner.evaluation.quality.comparison import Quality
from compression_runner.evaluation.report_figures import environment_of
from compression_runner.evaluation.speed.latency_run import Block, LatencyRun
from compression_runner.evaluation.speed.loadgen import Queries
from compression_runner.evaluation.speed.scenario import Scenario
from compression_runner.evaluation.speed.throughput import ThroughputRun
from compression_runner.methods.registry import METHODS
from compression_runner.pipeline import reporting
from compression_runner.pipeline.execution import StepOutput
from compression_runner.pipeline.planner import PipelinePlan, Step
from compression_runner.pipeline.report_files import write_report
from compression_runner.pipeline.reporting import RunResult, make_report, summarize
from compression_runner.storage.directory import DirectoryStore
from compressionjob.estimate import Estimate
from compressionjob.publication import Publication
from compressionjob.report import Machine, ModelFigures, StageReport
from compressionjob.sla_objectives import SIZE_RATIO
from compressionjob.spec import CompressionJob, parse_job
from tests.support.manifests import job
from tests.support.reports import REPORT_V1

CREATED = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
MACHINE = Machine(
    cpu="AMD EPYC 7B13", instructions=["avx2"], cpus=4, usable_cpus=2, memory_bytes=16_000_000_000, kernel="6.8.0",
    architecture="x86_64",
)  # fmt: skip
NOISE = Noise(
    elapsed=40.0, total=160.0, own=70.0, steal=0.0, other=8.0, waited=1.0, throttled_periods=3, throttled_seconds=0.25,
    frequency=2.45e9, hot=None,
    gpu=GpuNoise(elapsed=40.0, taken=12.0, slowed=0.4, others=1, slowed_by=frozenset({"thermal slowdown"})),
)  # fmt: skip


class Clock(datetime):
    """A clock that stands."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return CREATED


@pytest.fixture
def fixed_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine, libraries and a clock that are the same everywhere."""
    monkeypatch.setattr(report_figures, "machine", lambda: MACHINE)
    monkeypatch.setattr(report_figures, "engine_version", lambda engine: "1.23.2")
    monkeypatch.setattr(reporting, "versions", lambda: {"python": "3.11.9", "onnx": "1.23.2"})
    monkeypatch.setattr(reporting, "datetime", Clock)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.25, 0.0, 0.0))


def fixed_job() -> CompressionJob:
    """Return a job that quantizes and packs, with a latency limit for the Server scenario."""
    manifest = job(
        spec__pipeline=[{"name": "smaller", "quantize": {}}, {"pack": {"codec": "zstd"}}],
        spec__sla={"size": {"maxRatio": "0.26"}, "latency": {"scenario": "Server", "targetRate": "50", "max": "20ms"}},
    )
    manifest["metadata"] |= {"namespace": "research", "uid": "1234"}
    return parse_job(manifest)


def measurements(one: CompressionJob) -> Measurements:
    """Return the measurements of both models; no output of the compressed one was finite."""
    latencies = Queries(np.array([0.002, 0.003]), np.array([0.001, 0.001]))
    run = LatencyRun([(Block(latencies), Block(latencies))], Scenario.of(one.spec.sla.latency), notes=["late"])
    before, after = ModelFigures(size_bytes=400), ModelFigures(size_bytes=100, quality={"cosine": 0.5})
    return Measurements(
        baseline=before,
        compressed=after,
        estimates={SIZE_RATIO: Estimate.exact(0.25)},
        speedups={},
        quality_drops={"cosine": Estimate(value=0.5, low=0.4, high=0.6)},
        quality_metric="cosine",
        anomalies=[],
        latency_samples={"baseline": [0.002], "compressed": [0.003]},
        environment=Execution("onnxruntime").described_in(
            environment_of(
                one.spec,
                "onnxruntime",
                2,
                SampleSet([], "sha256:0"),
                run,
                ThroughputRun(0.95),
                NOISE,
                Quality({}, samples=1000, max_abs_difference=float("inf"), non_finite_samples=1000),
                [MemoryFigures((5000.0,), 3000, 0.95), MemoryFigures((4000.0,), 3100, 0.95)],
                0.9916666666,
            )
        ),
        timings={"latency": 20.0},
    )


def facts_of(one: CompressionJob, folder: Path) -> RunResult:
    """Return a run of the job whose result lies in `folder`."""
    folder.mkdir()
    (folder / "model.onnx.zst").write_bytes(b"packed")
    (folder / "config.json").write_bytes(b"{}")
    original = artifacts.File("model.onnx", 9, "ab" * 32, weights=True)
    sealed = artifacts.seal(folder, "onnx", "text-embedding", Packing("zstd", {"model.onnx.zst": original}))
    stages = [
        StageReport(name="smaller", method="quantize", parameters={"dtype": "int8"}, fingerprint="cd" * 32,
                    size_bytes=100, seconds=0.97, reused=False, details={"operators": {"MatMul": 12}}),
        StageReport(name="pack", method="pack", fingerprint="ef" * 32, size_bytes=6, seconds=0.1, reused=True),
    ]  # fmt: skip
    source = {
        "uri": one.spec.model.source, "format": "transformers", "architecture": "BertModel", "parameters": 22_000_000,
        "identity": "12" * 32, "checksumsVerified": True, "digest": "sha256:feed", "sizeBytes": 90,
    }  # fmt: skip
    step = Step("pack", METHODS["pack", ""], None, "spec.pipeline[1]", "ef" * 32, None, "onnx")
    measured = measurements(one)
    judgement = measured.judgement(one.spec.sla)
    return RunResult(
        one,
        PipelinePlan("12" * 32, (step,), None, None),
        StepOutput(sealed, tuple(stages), source),
        measured,
        judgement,
        "sha256:da7a",
        {"preflight": 0.5, "stages": 1.07, "measuring": 30.0},
    )


def test_the_report_of_a_run_is_the_stored_one_byte_for_byte(tmp_path: Path, fixed_surroundings: None) -> None:
    one, reports = fixed_job(), DirectoryStore("file:///reports", tmp_path, "spec.output.reports")
    run_result = facts_of(one, tmp_path / "result")
    write_report(make_report(run_result, reporting.provenance(run_result), reports, "Hold"), reports)
    stored = json.loads(REPORT_V1.read_text())
    # The spec and the pipeline are repeated as the contract of the job writes them, which may gain fields.
    stored["job"]["spec"], stored["provenance"]["pipeline"] = (one.spec.to_json(), one.spec.to_json()["pipeline"])
    assert (tmp_path / "report.json").read_text() == json.dumps(stored, indent=2) + "\n"


@pytest.mark.parametrize("publication", ["Publish", "Hold"])
def test_the_summary_identifies_result_checkpoint_and_report(tmp_path: Path, publication: Publication) -> None:
    one, reports = fixed_job(), DirectoryStore("file:///reports", tmp_path, "spec.output.reports")
    run_result = facts_of(one, tmp_path / "result")
    report = make_report(run_result, reporting.provenance(run_result), reports, publication)
    written = write_report(report, reports)
    summary = summarize(report, reports)
    assert written == f"sha256:{hashlib.sha256((tmp_path / 'report.json').read_bytes()).hexdigest()}"
    assert summary.report_digest == written
    assert (summary.checkpoint, summary.digest) == ("ef" * 32, run_result.result.artifact.digest)


def test_the_summary_of_a_refused_result_identifies_nothing(tmp_path: Path) -> None:
    one, reports = fixed_job(), DirectoryStore("file:///reports", tmp_path, "spec.output.reports")
    run_result = facts_of(one, tmp_path / "result")
    summary = summarize(make_report(run_result, reporting.provenance(run_result), reports, "Refuse"), reports)
    assert (summary.checkpoint, summary.report_digest, summary.digest) == ("", "", "")


def test_infinity_and_nan_are_not_written_to_json() -> None:
    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    assert json.loads(REPORT_V1.read_text(), parse_constant=refuse)["environment"]["maxAbsDifference"] is None
