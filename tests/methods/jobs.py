"""Run whole jobs on tiny real models as a user runs them."""

import json
from collections.abc import Iterable, Set
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import yaml

from compression_runner.artifact import Artifact
from compression_runner.commands.manifest import read_manifest
from compression_runner.pipeline.preflight import preflight
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.pipeline.staging import stage
from compression_runner.storage import Stores
from compression_runner.storage.directory import DirectoryStore
from compression_runner.telemetry.progress import RunProgress
from compressionjob.methods.registry import METHODS
from tests.support import tiny_models
from tests.support.forked import ForkedRunner


def missing_choices(pipelines: Iterable[list[dict[str, Any]]], fields: Set[str]) -> set[tuple[str, str, str]]:
    """Return (stage, field, value) of every value of these fields that no pipeline has."""
    used = {
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
    } - used


def _literals(annotation: Any) -> set[str]:
    """Return the strings of a `Literal`, optional or not."""
    return {value for part in (annotation, *get_args(annotation)) for value in get_args(part) if isinstance(value, str)}


def write_inputs(place: Path, task: str) -> Path:
    """Write the tiny model of a task and tiny data for it to a folder, unless it has them, and return the folder."""
    if (place / "model").is_dir():
        return place
    if task == "text-generation":
        tiny_models.llama(place / "model")
        tiny_models.text_data(place / "evaluation.parquet")
        tiny_models.text_data(place / "training.parquet", skip=60)
    elif task.startswith("text"):
        tiny_models.bert(place / "model", labels=3 if task == "text-classification" else 0)
        tiny_models.text_data(place / "evaluation.parquet", labels=[row % 3 for row in range(40)])
        tiny_models.text_data(place / "training.parquet", labels=[row % 3 for row in range(120)], skip=40)
    else:
        tiny_models.resnet(place / "model")
        for seed, role in enumerate(("evaluation", "training")):
            tiny_models.image_data(place / f"{role}.npz", seed=seed)
    return place


def write_job(
    folder: Path, task: str, pipeline: list[dict[str, Any]], output: str = "auto", inputs: Path | None = None
) -> Path:
    """Write a job to `folder` on a tiny model with tiny data, which lie in `inputs` or else in `folder`."""
    place = write_inputs(inputs or folder, task)
    suffix = "npz" if task.startswith("image") else "parquet"
    spec = {
        "model": {"source": f"file://{place}/model", "task": task},
        "data": {role: {"source": f"file://{place}/{role}.{suffix}"} for role in ("evaluation", "training")},
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


def make(job: Path, workdir: Path, checkpoints: Path) -> Artifact:
    """Run a job's stages in this process and return the artifact that it would publish.

    Steps that another job has stored in `checkpoints`, such as the export of a shared model, do not run again.
    """
    spec = read_manifest(job).spec
    locations = replace(
        of_trial(spec, Stores(base=job.parent), workdir),
        remote=lambda fingerprint: DirectoryStore(str(checkpoints), checkpoints / fingerprint, "checkpoints"),
    )
    return stage(spec, preflight(spec, locations), locations, RunProgress()).result.artifact


def start(job: Path, workdir: Path) -> ForkedRunner:
    """Start a local run of a job."""
    return ForkedRunner(["run", job, "--workdir", workdir])


def finish(job: Path, workdir: Path) -> dict[str, Any]:
    """Run a job locally and return its report, whether or not the model meets its limits."""
    ended = start(job, workdir).end(timeout=300)
    assert ended.returncode in (0, 3), ended.stdout + ended.stderr
    report: dict[str, Any] = json.loads((workdir / "report.json").read_text())
    return report
