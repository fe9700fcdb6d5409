"""Whole jobs on tiny real models, run as a user runs them."""

import json
import subprocess
import sys
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Any, get_args

import yaml

from compression_runner.artifact import Artifact
from compression_runner.commands.manifest import read_manifest
from compression_runner.pipeline.places import of_trial
from compression_runner.pipeline.preflight import preflight
from compression_runner.pipeline.staging import stage
from compression_runner.storage import Stores
from compression_runner.telemetry.progress import RunProgress
from compressionjob.methods.registry import METHODS
from tests.support import tiny_models


def missing_choices(pipelines: Iterable[list[dict[str, Any]]], fields: Set[str]) -> set[tuple[str, str, str]]:
    """Stage, field and value of all that these fields of a stage can be and in no pipeline are."""
    there = {
        (stage, field, getattr(METHODS[stage].model_validate(given), field, None))
        for pipeline in pipelines
        for entry in pipeline
        for stage, given in entry.items()
        for field in fields
    }
    return {
        (stage, field, choice)
        for stage, parameters in METHODS.items()
        for field in fields & parameters.model_fields.keys()
        for choice in _literals(parameters.model_fields[field].annotation)
    } - there


def _literals(annotation: Any) -> set[str]:
    """The strings of a `Literal`, optional or not."""
    return {value for part in (annotation, *get_args(annotation)) for value in get_args(part) if isinstance(value, str)}


def write_job(folder: Path, task: str, pipeline: list[dict[str, Any]], output: str = "auto") -> Path:
    """A job on a tiny model with tiny data, below `folder`."""
    if task == "text-generation":
        tiny_models.llama(folder / "model")
        data = {"evaluation": "evaluation.parquet", "training": "training.parquet"}
        tiny_models.text_data(folder / "evaluation.parquet")
        tiny_models.text_data(folder / "training.parquet", skip=60)
    elif task.startswith("text"):
        tiny_models.bert(folder / "model", labels=3 if task == "text-classification" else 0)
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
        "output": {"destination": "file://./out", "format": output},
    }
    metadata = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionJob",
        "metadata": {"name": "tiny"},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump({**metadata, "spec": spec}))
    return folder / "job.yaml"


def make(job: Path, workdir: Path) -> Artifact:
    """What a job publishes, from its stages alone, in this process."""
    spec = read_manifest(job).spec
    places = of_trial(spec, Stores(base=job.parent), workdir)
    return stage(spec, preflight(spec, places), places, RunProgress()).result.artifact


def start(job: Path, workdir: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "compression_runner", "run", str(job), "--workdir", str(workdir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(job: Path, workdir: Path) -> dict[str, Any]:
    process = start(job, workdir)
    said = process.communicate(timeout=300)[0].decode()
    assert process.returncode in (0, 3), said
    report: dict[str, Any] = json.loads((workdir / "report.json").read_text())
    return report
