"""Jobs that are killed at random moments end with the same artifacts as jobs that are not."""

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.methods.jobs import finish, missing_choices, start, write_job
from tests.methods.killing import Checkpoint, checkpoints, finish_stages, start_stages, wait_for
from tests.support import tiny_models

TRAINING = {"epochs": 6, "batchSize": 8, "learningRate": "0.005", "checkpointEvery": 5}
PIPELINES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "pruned-distilled-quantized-packed": (
        "image-classification",
        [
            {"prune": {"method": "structured", "structure": "channels", "sparsity": "0.3"}},
            {"distill": {"training": TRAINING}},
            {"quantize": {"method": "dynamic"}},
            {"pack": {"codec": "zstd"}},
        ],
    ),
    "sparse-recovered-trained-to-four-bits": (
        "text-classification",
        [
            {"prune": {"method": "magnitude", "sparsity": "0.5"}},
            {"recover": {"training": TRAINING}},
            {"quantize": {"method": "qat", "dtype": "int4", "training": TRAINING}},
        ],
    ),
    "factorized-static-huffman": (
        "text-classification",
        [
            {"factorize": {"method": "svd", "rank": 8}},
            # Products that saturate, on x86 without VNNI, would fail the stage without the control.
            {"quantize": {"method": "static", "smoothQuant": "0.5", "accuracyControl": {"maxDrop": "0.02"}}},
            {"pack": {"codec": "huffman"}},
        ],
    ),
    "sparsegpt-gptq": (
        "text-classification",
        [
            {"prune": {"method": "sparsegpt", "sparsity": "0.5"}},
            {"recover": {"training": TRAINING}},
            {"quantize": {"method": "weight-only", "dtype": "int4", "algorithm": "gptq", "groupSize": 16}},
            {"pack": {"codec": "auto"}},
        ],
    ),
    "tucker-wanda-half-precision": (
        "image-classification",
        [
            {"factorize": {"method": "tucker", "rank": 8}},
            {"prune": {"method": "wanda", "sparsity": "0.5"}},
            {"quantize": {"method": "cast", "dtype": "float16"}},
        ],
    ),
    "openvino": ("image-classification", [{"quantize": {"method": "static", "backend": "openvino"}}, {"pack": {}}]),
    "layers-student": (
        "text-classification",
        [
            {"prune": {"method": "structured", "structure": "layers", "sparsity": "0.5"}},
            {"distill": {"student": {"hiddenSize": 16}, "training": TRAINING}},
            {"quantize": {"method": "weight-only", "dtype": "mixed", "budget": "0.8", "groupSize": 16}},
        ],
    ),
    "nmf-awq": (
        "text-classification",
        [
            {"factorize": {"method": "nmf", "rank": 8}},
            {"quantize": {"method": "weight-only", "dtype": "int4", "algorithm": "awq", "groupSize": 16}},
            {"pack": {"codec": "byte-plane"}},
        ],
    ),
    "cp-float8": (
        "image-classification",
        [
            {"factorize": {"method": "cp", "rank": 8}},
            {"quantize": {"method": "static", "dtype": "float8", "calibration": "percentile"}},
        ],
    ),
    "heads-neurons-given-student-ternary": (
        "text-classification",
        [
            {"prune": {"method": "structured", "structure": "heads", "sparsity": "0.5"}},
            {"prune": {"method": "structured", "structure": "neurons", "sparsity": "0.3"}},
            {"distill": {"studentSource": "file://./given", "teacherSource": "file://./model", "training": TRAINING}},
            {"quantize": {"method": "qat", "dtype": "ternary", "training": TRAINING}},
        ],
    ),
    "two-of-four-recovered-by-labels-controlled": (
        "text-classification",
        [
            {"prune": {"method": "magnitude", "pattern": "2:4", "sparsity": "0.5"}},
            {"recover": {"method": "labels", "training": TRAINING}},
            {"quantize": {"method": "static", "calibration": "entropy", "accuracyControl": {"maxDrop": "0.01"}}},
            {"pack": {"codec": "lz4"}},
        ],
    ),
}
"""Short pipelines that contain every method of every family."""
CHOICES = {"method", "structure", "algorithm"}
"""The fields that select a stage's algorithm."""
KILLS = 2
MEASURED = ("factorized-static-huffman", "openvino")
"""Pipelines whose evaluation runs too, in onnxruntime and in OpenVINO, and is killed."""


def test_every_method_is_in_a_pipeline() -> None:
    missing = missing_choices((pipeline for _, pipeline in PIPELINES.values()), CHOICES)
    # Mixed precision runs rtn on each layer.
    assert missing == {("quantize", "algorithm", "rtn")}


@pytest.mark.parametrize("name", [name for name in PIPELINES if name not in MEASURED])
def test_killed_stages_end_with_the_same_artifacts(name: str, tmp_path: Path) -> None:
    job, whole = write_inputs_and_job(name, tmp_path), tmp_path / "whole"
    _, steps = finish_stages(job, whole)
    drawn = random.Random(name)
    workdir, made, kills = tmp_path / "killed", dict[str, Checkpoint](), 0
    for moment in sorted(drawn.uniform(0, 0.9) for _ in range(KILLS)):
        process = start_stages(job, workdir)
        wait_for(moment, steps, workdir, process)
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        there = checkpoints(workdir)
        # The next run reuses the completed checkpoints: no stage runs twice.
        assert made.items() <= there.items()
        made = there
    assert kills > 0
    resumed, again = finish_stages(job, workdir)
    assert made.items() <= checkpoints(workdir).items()
    assert made.keys().isdisjoint(step.fingerprint for step in again)
    assert digests(workdir) == digests(whole)
    fingerprints = {stage["fingerprint"] for stage in resumed}
    assert {stage["fingerprint"] for stage in resumed if stage["reused"]} == made.keys() & fingerprints


@pytest.mark.parametrize("name", MEASURED)
def test_runs_killed_in_the_evaluation_end_with_the_same_artifact(name: str, tmp_path: Path) -> None:
    job, whole = write_inputs_and_job(name, tmp_path), tmp_path / "whole"
    _, steps = finish_stages(job, whole)
    drawn = random.Random(name)
    workdir, made = tmp_path / "killed", dict[str, Checkpoint]()
    for moment, measuring in ((drawn.uniform(0, 0.8), 0.0), (1.0, drawn.uniform(0.5, 2.5))):
        process = start(job, workdir)
        wait_for(moment, steps, workdir, process)
        time.sleep(measuring)
        process.kill()
        assert process.end(timeout=60).returncode == -signal.SIGKILL
        there = checkpoints(workdir)
        assert made.items() <= there.items()
        made = there
    assert digests(workdir) == digests(whole)
    report = finish(job, workdir)
    assert checkpoints(workdir) == made
    assert all(stage["reused"] for stage in report["stages"])
    assert report["artifact"]["digest"] == digests(whole)[report["stages"][-1]["fingerprint"]]


def write_inputs_and_job(name: str, folder: Path) -> Path:
    """Write the job of a pipeline and its inputs."""
    tiny_models.bert(folder / "given", labels=3, hidden=16)
    return write_job(folder, *PIPELINES[name])


def digests(workdir: Path) -> dict[str, str]:
    return {fingerprint: made.digest for fingerprint, made in checkpoints(workdir).items()}
