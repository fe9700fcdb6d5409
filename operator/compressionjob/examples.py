"""An example for each field, for ``kubectl explain`` and for messages about missing fields."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_DATA: Final = "s3://data/sentences.parquet"
_OUTPUT: Final = "s3://models/minilm-int8"

EXAMPLES: Final[Mapping[str, Any]] = {
    # Name of a field, with that of its parent where several fields have the name.
    "source": _DATA, "model.source": "s3://models/minilm", "training.source": "s3://data/train.parquet",
    "calibration.source": "s3://data/calibration.parquet", "secretName": "s3", "hub.secretName": "hub",
    "endpoint": "http://minio.storage:9000", "hub.endpoint": "https://huggingface.co", "region": "eu-central-1",
    "columns.text": "sentence",
    "columns.textPair": "passage", "columns.label": "class", "columns.image": "picture", "columns.audio": "recording",
    "columns.samplingRate": "rate", "columns.video": "frames", "columns.features": ["age", "income"],
    "columns.target": "price", "columns.group": "language", "split.evaluation": "0.2", "seed": 7,
    "evaluation.limit": 500, "training.limit": 20000, "calibration.limit": 256,
    "task": "text-embedding", "name": "int8", "sparsity": "0.5", "include": ["*embeddings*"], "exclude": ["*lm_head*"],
    "rank": 64, "energy": "0.95", "factorize.budget": "0.9", "quantize.budget": "0.2", "spec.budget": "5",
    "teacherSource": "hf://google-bert/bert-large-uncased", "studentSource": "hf://google-bert/bert-base-uncased",
    "layers": 6, "hiddenSize": 384, "attentionHeads": 6, "intermediateSize": 1536,
    "losses.output": "1", "losses.hidden": "0.5", "losses.attention": "0.5", "losses.labels": "0.1",
    "temperature": "4", "epochs": 3, "maxSteps": 2000, "timeLimit": "30m", "batchSize": 16, "learningRate": "0.0005",
    "weightDecay": "0.01", "warmup": 100, "augment": ["flip"], "checkpointEvery": 500, "maxDrop": "0.01",
    "smoothQuant": "0.5", "level": 19, "noise.level": "0.1", "epsilon": "0.031", "steps": 20, "samples": 200,
    "min": "0.9", "throughput.min": "200", "maxIncrease": "0.05", "quality.max": "12.5", "latency.max": "20ms",
    "minSpeedup": "1.2", "targetRate": "50", "samplesPerQuery": 8, "size.max": "30Mi", "memory.max": "512Mi",
    "maxRatio": "0.5", "maxPerMillion": "1.5", "minWorst": "0.8", "maxWorst": "50", "maxGap": "0.05",
    "maxGapIncrease": "0.02", "kinds": ["typos"], "severity": 4, "minAgreement": "0.9", "flips.max": "0.02",
    "sla.runtime": "edge", "confidence": "0.99", "threads": 4, "sequenceLength": 256, "destination": _OUTPUT,
    "reports": f"{_OUTPUT}-report", "checkpoints": "s3://models/checkpoints", "spec.runtime": "cpu-large",
    "reviewTimeout": "168h", "deadline": "2h", "retries": 5, "ttl": "720h", "notifications": ["ml-team"],
    "author": "ada@example.com", "maxInterruptions": 3, "retention.checkpoints": "168h", "retention.reports": "720h",
    "accuracyControl.maxDrop": "0.005", "prune": {"sparsity": "0.5"}, "factorize": {"budget": "0.9"},
    "recover": {"maxDrop": "0.01"}, "spec.pipeline": [{"quantize": {"method": "dynamic", "dtype": "int8"}}],
    "spec.data": {"evaluation": {"source": _DATA}}, "spec.sla": {"quality": {"maxDrop": "0.01"}},
    "spec.model": {"source": "s3://models/minilm", "task": "text-embedding"}, "student": {"layers": 6},
    "state": [{"input": "h0", "output": "hn"}], "state.input": "h0", "state.output": "hn",
    "metadata": {"name": "minilm-int8"}, "metadata.name": "minilm-int8", "losses": {"hidden": "0.5"},
    "attack": {"maxDrop": "0.1", "epsilon": "0.031"}, "noise": {"maxDrop": "0.05", "level": "0.1"},
    "corruption": {"maxDrop": "0.05", "kinds": ["typos"]}, "robustness": {"noise": {"maxDrop": "0.05", "level": "0.1"}},
    "fairness": {"minWorst": "0.8"}, "quality": {"maxDrop": "0.01"}, "latency": {"max": "20ms"},
    "size": {"maxRatio": "0.5"}, "memory": {"max": "512Mi"},
    "ttft.max": "500ms", "interToken.max": "50ms", "timePerOutputToken.max": "40ms", "endToEnd.max": "4s",
    "ttft": {"max": "500ms"}, "interToken": {"max": "50ms"}, "timePerOutputToken": {"max": "40ms"},
    "endToEnd": {"max": "4s"}, "ttft.maxRatio": "1.2", "interToken.maxRatio": "1.2",
    "timePerOutputToken.maxRatio": "1.2", "endToEnd.maxRatio": "1.2", "goodput": {"min": "1.8"}, "goodput.min": "1.8",
    "minRatio": "0.9", "outputLength.maxRatio": "1.1", "outputLength": {"minRatio": "0.9"}, "promptTokens": 256,
    "outputTokens": 128, "maxOutputTokens": 256, "benchmark.engine": "vllm", "requestRate": "2", "concurrency": 8,
    "findMaxRate": True,
    "serving": {"requestRate": "2", "outputTokens": 128},
    "tasks": [{"name": "arc-easy", "source": "s3://data/arc-easy.jsonl", "kind": "multiple-choice"}],
    "tasks.name": "arc-easy", "tasks.source": "s3://data/arc-easy.jsonl", "tasks.limit": 500, "fewShot": 5,
    "tasks.prompt": "{passage}\\nQuestion: {question}\\nAnswer:", "columns.question": "query",
    "columns.choices": "options", "columns.answer": "label", "tasks.metric": "acc", "generation": {"maxTokens": 32},
    "maxTokens": 32, "generation.stop": ["\\n\\n"], "generation.pattern": "#### (-?[0-9.,]+)",
    "recovery": {"min": "0.99"}, "recovery.min": "0.99", "recovery.tasks": ["arc-easy"],
    # Fields of a CompressionRuntime.
    "image": "registry.example.com/compression-runner:1.0", "imagePullSecrets": ["registry"],
    "command": ["compression-runner", "pod"], "requests": {"cpu": "4", "memory": "8Gi"},
    "limits": {"memory": "8Gi", "nvidia.com/gpu": "1"}, "measuring.runtime": "edge",
    "nodeSelector": {"kubernetes.io/arch": "amd64"}, "tolerations.key": "nvidia.com/gpu",
    "tolerations.value": "present",
    "tolerationSeconds": 300, "volumes.name": "models", "mountPath": "/models", "claimName": "models",
    "configMap.name": "settings", "env.name": "OMP_NUM_THREADS", "env.value": "4", "runtimeClassName": "nvidia",
    "priorityClassName": "low", "serviceAccountName": "compression", "workspace.size": "50Gi", "pricePerHour": "2.75",
    "volumes": [{"name": "models", "mountPath": "/models", "persistentVolumeClaim": {"claimName": "models"}}],
    "allowedNamespaces": {"names": ["team-a", "team-b"]}, "names": ["team-a", "team-b"],
    "matchLabels": {"tenant": "ml"}, "matchExpressions.key": "tenant", "values": ["ml", "search"],
    "defaults": {"deadline": "4h", "ttl": "168h"}, "spec.limits": {"deadline": "24h", "retries": 5},
    "defaults.budget": "5", "limits.budget": "20", "default.checkpoints": "168h", "default.reports": "720h",
    "maximum.checkpoints": "720h", "maximum.reports": "8760h",
    "destinations": ["s3://models/production"], "selector": {"matchLabels": {"tenant": "ml"}},
    "matchExpressions": [{"key": "tenant", "operator": "In", "values": ["ml", "search"]}],
    # Fields of a CompressionStore.
    "store": "team-a", "hub.store": "team-a", "prefix": "s3://models/team-a/", "access": "ReadWrite",
    "locations": [{"prefix": "s3://models/team-a/", "access": "ReadWrite"}],
    # Fields of a CompressionReview.
    "job": "minilm-int8", "reason": "read the report; the slices look right", "reviewer": "rita@example.com",
    "jobUID": "0a1b2c3d-0000-4000-8000-000000000000", "digest": "sha256:e2ffb1057a332b75",
}  # fmt: skip
_PLAIN: Final = re.compile(r"[A-Za-z/][\w./*@-]*(://[\w./@:-]+)?(: ?[\w./]+)*")
_WORDS: Final = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def example_of(location: Sequence[int | str]) -> Any:
    """Return an example for the field at a location, None where there is none."""
    names = [name for name in location if isinstance(name, str)]
    for count in (2, 1):
        example = EXAMPLES.get(".".join(names[-count:]))
        if example is not None:
            return example
    return None


def flow_style(value: object) -> str:
    """Write a value as YAML on one line: ``{source: s3://a/b, limit: 5}``."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {flow_style(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow_style(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    plain = not isinstance(value, str) or (_PLAIN.fullmatch(text) and text.lower() not in _WORDS)
    return text if plain or not text else f'"{text}"'


def with_examples(schema: Mapping[str, Any], path: tuple[str, ...] = ("spec",)) -> dict[str, Any]:
    """Return a structural schema whose descriptions state each field's default and an example."""
    result = dict(schema)
    if "properties" in result:
        result["properties"] = {
            name: with_examples(_described(field, (*path, name)), (*path, name))
            for name, field in result["properties"].items()
        }
    if "items" in result:
        result["items"] = with_examples(result["items"], path)
    return result


def _described(field: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    parts = [str(field.get("description", ""))]
    default = field.get("default")
    if default not in (None, {}, []):
        parts.append(f"Default: {flow_style(_unquoted(default, field))}.")
    example = _example(field, path)
    # Some descriptions end with an example of their own.
    if example is not None and not parts[0].endswith(f": {flow_style(example)}."):
        parts.append(f"Example: {flow_style(example)}.")
    return {**field, "description": " ".join(part for part in parts if part)}


def _unquoted(default: object, field: Mapping[str, Any]) -> object:
    """Return a default as a manifest writes it: integers have no quotes."""
    return default if field.get("type") != "integer" else int(str(default))


def _example(field: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    example = example_of(path)
    if example is not None:
        return example
    if "enum" in field:
        return next((word for word in field["enum"] if word != field.get("default")), field["enum"][0])
    if field.get("type") == "boolean":
        return not field.get("default", False)
    if "properties" in field:
        return _of_object(field, path)
    if "items" in field:
        inner = _example(field["items"], path)
        return None if inner is None else [inner]
    return None


def _of_object(field: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """Return an example of a mapping: its required fields, or its first field where none is required."""
    properties = field["properties"]
    names = field.get("required") or list(properties)[:1]
    examples = {name: _example(properties[name], (*path, name)) for name in names}
    return None if None in examples.values() else examples
