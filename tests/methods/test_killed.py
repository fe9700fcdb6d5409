"""Runs that are killed at random moments end with the same artifact as runs that are not."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import tiny_models

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
}
MOST_KILLS = 4


def write_job(folder: Path, task: str, pipeline: list[dict[str, Any]]) -> Path:
    """A job on a tiny model with tiny data, below `folder`."""
    if task.startswith("text"):
        tiny_models.bert(folder / "model", labels=3)
        data = {"evaluation": "evaluation.parquet", "training": "training.parquet"}
        tiny_models.text_data(folder / "evaluation.parquet", labels=[row % 3 for row in range(40)])
        tiny_models.text_data(folder / "training.parquet", labels=[row % 3 for row in range(120)], skip=40)
    else:
        tiny_models.resnet(folder / "model")
        data = {"evaluation": "evaluation.npz", "training": "training.npz"}
        for seed, name in enumerate(data.values()):
            tiny_models.image_data(folder / name, seed=seed)
    spec = {
        "model": {"source": "file://./model", "task": task},
        "data": {role: {"source": f"file://./{name}"} for role, name in data.items()},
        "pipeline": pipeline,
        "benchmark": {"timeLimit": "3s", "sequenceLength": 16},
        "output": {"destination": "file://./out"},
    }
    metadata = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionJob",
        "metadata": {"name": "tiny"},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump({**metadata, "spec": spec}))
    return folder / "job.yaml"


def start(job: Path, workdir: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "compression_runner", "run", str(job), "--workdir", str(workdir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(job: Path, workdir: Path) -> dict[str, Any]:
    process = start(job, workdir)
    said = process.communicate(timeout=300)[0].decode()
    assert process.returncode in (0, 3), said
    report: dict[str, Any] = json.loads((workdir / "report.json").read_text())
    return report


@pytest.mark.parametrize("name", PIPELINES)
def test_a_killed_run_ends_with_the_same_artifact(name: str, tmp_path: Path) -> None:
    job = write_job(tmp_path, *PIPELINES[name])
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
