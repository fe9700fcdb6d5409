"""Runs that are killed at random moments end with the same artifact as runs that are not."""

import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.methods.jobs import finish, missing_choices, start, write_job
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
            {"quantize": {"method": "static", "smoothQuant": "0.5"}},
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
"""Every method of every family, in pipelines as short as they can be."""
CHOICES = {"method", "structure", "algorithm"}
"""The fields that choose what a stage does."""
MOST_KILLS = 2


def test_every_method_is_in_a_pipeline() -> None:
    missing = missing_choices((pipeline for _, pipeline in PIPELINES.values()), CHOICES)
    # What rtn does, mixed precision does to each layer.
    assert missing == {("quantize", "algorithm", "rtn")}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_killed_run_ends_with_the_same_artifact(name: str, tmp_path: Path) -> None:
    job = write_job(tmp_path, *PIPELINES[name])
    tiny_models.bert(tmp_path / "given", labels=3, hidden=16)
    began = time.monotonic()
    whole = finish(job, tmp_path / "whole")
    seconds = time.monotonic() - began
    drawn = random.Random(name)
    workdir, kills, made = tmp_path / "killed", 0, set[str]()
    for _ in range(MOST_KILLS):
        process = start(job, workdir)
        try:
            process.wait(timeout=drawn.uniform(0.3, 0.9) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        there = {place.parent.name for place in (workdir / "checkpoints").glob("*/artifact.json")}
        # What one run had completed is there for the next: no stage is done twice.
        assert made <= there
        made = there
    resumed = finish(job, workdir)
    assert kills > 0
    assert resumed["artifact"]["digest"] == whole["artifact"]["digest"]
    reused = {stage["fingerprint"] for stage in resumed["stages"] if stage["reused"]}
    assert made & {stage["fingerprint"] for stage in resumed["stages"]} <= reused
