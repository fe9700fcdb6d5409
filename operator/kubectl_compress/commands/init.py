"""`init`: print a commented manifest for a model, to be completed and submitted."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compressionjob.hints import nearest
from compressionjob.objectives import ERROR_METRICS
from compressionjob.tasks import TASKS, Task, default_metric
from kubectl_compress.cluster import Cluster
from kubectl_compress.display.terminal import Terminal
from kubectl_compress.errors import Invalid
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.model_config import read_local, read_on_hub

MAX_NAME: Final = 52
_SCHEMES: Final = ("s3://", "pvc://", "file://", "hf://")
_SOURCES: Final = {
    "text": ("s3://BUCKET/sentences.parquet", "a .parquet, .jsonl or .csv file with a column `text`"),
    "image": ("s3://BUCKET/images", "a folder of images, in one folder for each class; or a .parquet or .npz file"),
    "audio": ("s3://BUCKET/recordings", "a folder of recordings, in one folder for each class; or a .parquet file"),
    "video": ("s3://BUCKET/videos.parquet", "a .parquet file whose column `video` holds frames"),
    "features": ("s3://BUCKET/table.csv", "a .csv or .parquet file with columns of numbers"),
    "arrays": ("s3://BUCKET/inputs.npz", "an .npz whose arrays have the names of the model's inputs"),
}
_CALIBRATED: Final = ("image", "video")
"""Content whose models are mostly convolutional: static quantization makes them faster."""


@dataclass(frozen=True)
class _Model:
    """A model as named by the user: the source for the pod, and a step that must be done ``before``."""

    source: str
    before: str = ""


def init(args: argparse.Namespace, _cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Print a manifest for a model, or save it."""
    if args.task and args.task not in TASKS:
        meant = nearest(args.task, TASKS)
        hint = f"; did you mean {meant}?" if meant else ""
        raise Invalid(f"--task {args.task}: there is no such task", f"use one of {', '.join(TASKS)}{hint}")
    name = args.new_name or name_of(args.model)
    task, why = (args.task, "from --task") if args.task else _guess(args.model)
    if not task:
        remedy = f"name it with --task TASK, one of {', '.join(TASKS)}"
        raise Invalid(f"the task of {args.model} cannot be guessed: {why}", remedy)
    text = manifest_text(args.model, name, task, why)
    if not args.save:
        terminal.show_line(text.rstrip("\n"))
        return ExitCode.DONE
    target = Path(args.save)
    if target.exists():
        raise Invalid(f"--save {target}: the file exists already", "name another, or delete it")
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"--save {target}: {error.strerror}", "name a file that can be written") from error
    terminal.note(f"the manifest is in {target}; replace the words in capitals, then: kubectl compress submit {target}")
    return ExitCode.DONE


def name_of(model: str) -> str:
    """Return a name for a job about a model: the last part of its path, as a valid Kubernetes name."""
    last = re.sub(r"@[^/]*$", "", model.rstrip("/")).rpartition("/")[2].rpartition("://")[2]
    words = re.sub(r"\.(onnx|gguf)$", "", last.lower())
    name = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:MAX_NAME].strip("-")
    return name or "model"


def _guess(model: str) -> tuple[Task | str, str]:
    if not model.startswith(_SCHEMES) and Path(model).exists():
        return read_local(Path(model))
    if model.startswith((".", "/", "~")):
        raise Invalid(f"there is no file or folder {model}", "name one, or a model on the Hub as ORG/NAME")
    if model.startswith("hf://") or not model.startswith(_SCHEMES):
        return read_on_hub(model)
    suffixes = {".onnx": "onnx", ".gguf": "text-generation"}
    return suffixes.get(Path(model).suffix.lower(), ""), "only local models and models on the Hub are inspected"


def _model(model: str, name: str) -> _Model:
    if model.startswith(_SCHEMES):
        return _Model(model)
    place = Path(model)
    if not place.exists():
        return _Model(f"hf://{model}")
    if place.is_file():
        source = f"s3://BUCKET/{name}/{place.name}"
        return _Model(source, f"upload it: aws s3 cp {model} {source}")
    source = f"s3://BUCKET/{name}"
    return _Model(source, f"upload it: aws s3 cp --recursive {model} {source}")


def manifest_text(model: str, name: str, task: str, why: str) -> str:
    """Return the manifest, with comments on the parts to complete."""
    traits = TASKS[task]  # type: ignore[index]
    metric = default_metric(task, has_labels=False)  # type: ignore[arg-type]
    limit = 'maxIncrease: "0.05"   # at most 5 % more' if metric in ERROR_METRICS else 'maxDrop: "0.01"   # at most'
    limit += "" if metric in ERROR_METRICS else " 0.01 less than the baseline's"
    where, source = _model(model, name), _SOURCES[traits.content]
    calibrated = traits.content in _CALIBRATED
    calibration = (
        "    calibration:             # samples for observing activations; not the evaluation data\n"
        f"      source: {source[0].replace('BUCKET/', 'BUCKET/calibration-')}\n"
    )
    if traits.running_text:
        stage = "{method: weight-only, dtype: int4}   # weights in 4 bits; see docs/language-models.md"
    else:
        method = "static" if calibrated else "dynamic"
        stage = f"{{method: {method}, dtype: int8}}   # weights and activations in 8 bits; see docs/methods"
    lines = [
        f"# Compress {model}. Replace the words in capitals, then: kubectl compress submit FILE",
        "apiVersion: compression-operator.io/v1alpha1",
        "kind: CompressionJob",
        "metadata:",
        f"  name: {name}-small",
        "spec:",
        "  model:",
        f"    source: {where.source}" + (f"   # {where.before}" if where.before else ""),
        f"    task: {task}   # {why}",
        "  storage:                   # for s3://; delete it if the pod has a cloud identity",
        "    secretName: s3           # kubectl create secret generic s3 --from-literal=AWS_ACCESS_KEY_ID=ID \\",
        "                             #   --from-literal=AWS_SECRET_ACCESS_KEY=KEY",
        "    # endpoint: http://minio.storage:9000   # an S3-compatible server; without it AWS",
        "  data:",
        "    evaluation:              # real inputs, on which both models are measured",
        f"      source: {source[0]}   # {source[1]}",
        "      limit: 1000            # number of samples, from the start",
        *(calibration.rstrip("\n").split("\n") if calibrated else ()),
        "  pipeline:",
        f"  - quantize: {stage}",
        "  sla:                       # a result that breaks a limit is not published",
        f"    quality: {{metric: {metric}, {limit.partition('   #')[0]}}}   #{limit.partition('   #')[2]}",
        '    size: {maxRatio: "0.6"}  # size of the result divided by the model\'s own',
        '    # latency: {percentile: p99, max: 50ms}   # or minSpeedup: "1.2"',
        "  output:",
        f"    destination: s3://BUCKET/{name}-small",
        "  runtime: cpu               # to list them: kubectl get compressionruntimes",
        "  deadline: 2h",
    ]
    return "\n".join(lines) + "\n"
