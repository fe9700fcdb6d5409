"""A valid job manifest, and changes to it by field path."""

import copy
import random
import re
from pathlib import Path
from typing import Any

import yaml

TESTS = Path(__file__).parents[1]

_VALID = """
apiVersion: compression-operator.io/v1alpha1
kind: CompressionJob
metadata: {name: minilm-int8, namespace: default}
spec:
  model: {source: s3://models/minilm, task: text-embedding}
  storage: {secretName: s3, endpoint: "http://127.0.0.1:7070"}
  data:
    evaluation: {source: s3://data/sentences.parquet, limit: 1000}
  pipeline:
  - prune: {method: magnitude, sparsity: "0.3"}
  - quantize: {method: dynamic, dtype: int8}
  - pack: {codec: zstd}
  sla:
    quality: {metric: cosine, maxDrop: "0.01"}
    latency: {percentile: p99, max: 20ms}
    size: {maxRatio: "0.26"}
  output: {destination: s3://models/minilm-int8}
  runtime: cpu
"""

REMOVE = object()


def job(name: str = "minilm-int8", **changes: Any) -> dict[str, Any]:
    """Return a valid CompressionJob. ``changes`` are field paths with ``__`` for dots: ``spec__retries=1``."""
    manifest: dict[str, Any] = yaml.safe_load(_VALID)
    manifest["metadata"]["name"] = name
    manifest["spec"]["output"]["destination"] = f"s3://models/{name}"
    for path, value in changes.items():
        set_field(manifest, path.replace("__", "."), value)
    return manifest


def incompressible_names() -> list[str]:
    """Return the largest number of column names, so long and random that they exceed the pod's input."""
    draw = random.Random(0)
    return ["".join(chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(128)) for _ in range(1000)]


def set_field(manifest: dict[str, Any], path: str, value: Any) -> None:
    """Set (or with REMOVE delete) a field such as ``spec.pipeline[0].prune.sparsity``."""
    parts = [int(p[1:-1]) if p.startswith("[") else p for p in re.findall(r"\[\d+\]|[^.\[\]]+", path)]
    target: Any = manifest
    for part in parts[:-1]:
        if isinstance(target, dict) and part not in target:
            target[part] = {}
        target = target[part]
    if value is REMOVE:
        del target[parts[-1]]
    else:
        target[parts[-1]] = value


def invalid_jobs() -> list[dict[str, Any]]:
    """Return the table of invalid manifests: ``{name, manifest, field, refusedBy, says}``."""
    cases = yaml.safe_load((TESTS / "invalid_jobs.yaml").read_text())
    for case in cases:
        manifest = job("invalid")
        for path, value in copy.deepcopy(case["set"]).items():
            set_field(manifest, path, REMOVE if value == "<remove>" else value)
        case["manifest"] = manifest
    return list(cases)
