"""The example manifests are valid, and together they show every field of the spec."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from compressionjob.crd import definitions
from compressionjob.review import parse_review
from compressionjob.runtime import parse_runtime
from compressionjob.spec import parse_job
from compressionjob.stores import parse_store

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").rglob("*.yaml"))


PARSERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "CompressionJob": parse_job,
    "CompressionRuntime": parse_runtime,
    "CompressionReview": parse_review,
    "CompressionStore": parse_store,
}


def load(path: Path) -> list[dict[str, Any]]:
    return [item for item in yaml.safe_load_all(path.read_text()) if item]


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_is_valid(path: Path) -> None:
    for manifest in load(path):
        assert PARSERS[manifest["kind"]](manifest).metadata.name


def paths(schema: dict[str, Any], prefix: str = "") -> set[str]:
    leaves: set[str] = set()
    for name, child in schema.get("properties", {}).items():
        inner = child.get("items", child)
        leaves |= paths(inner, f"{prefix}.{name}") or {f"{prefix}.{name}"}
    return leaves


def used(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, dict):
        return {f"{prefix}.{key}" for key in value} | {p for k, v in value.items() for p in used(v, f"{prefix}.{k}")}
    if isinstance(value, list):
        return {path for item in value for path in used(item, prefix)}
    return set()


def test_every_field_of_a_job_is_in_an_example() -> None:
    crd = definitions()["compressionjobs.yaml"]
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    shown = {path for file in EXAMPLES for manifest in load(file) for path in used(manifest["spec"])}
    # Left out: storage of single parts, since the job has one; the scenario of throughput, which has one value; columns
    # and training settings, which are the same everywhere and shown once; the author, whom submit adds.
    repeated = re.compile(
        r"\.storage\.|\.throughput\.scenario$|\.data\.(training|calibration)\.columns\.|\.(distill|recover|quantize)\.training\.|\.author$"
    )
    unshown = {path for path in paths(schema) - shown if not repeated.search(path)}
    assert unshown == set()
