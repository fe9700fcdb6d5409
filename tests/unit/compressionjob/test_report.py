"""report.json of other versions: what they wrote is read, and what is not known here is kept."""

import json
from typing import Any

import pytest

from compressionjob.report import Report
from tests.support.reports import REPORT_V1

PARTS = ("job", "environment", "provenance", "artifact")
LATER = {"colour": "blue", "nested": [{"deep": None}]}
"""What a later version may write."""


def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(REPORT_V1.read_text())
    return found


def written(content: dict[str, Any]) -> dict[str, Any]:
    """The report as it is written again, for instance after its review."""
    return Report.model_validate(content).model_dump(mode="json", by_alias=True)


def paths(tree: Any, *before: str) -> list[tuple[str, ...]]:
    """Every key of the four parts, with those that it lies below."""
    if not isinstance(tree, dict):
        return []
    return [found for key in tree for found in ((*before, key), *paths(tree[key], *before, key))]


SPEC = ("job", "spec")
KEYS = [path for part in PARTS for path in paths(stored()[part], part) if path == SPEC or path[:2] != SPEC]
OBJECTS = (
    ("job",), ("environment",), ("environment", "machine"), ("environment", "noise"), ("provenance",),
    ("provenance", "job"), ("provenance", "source"), ("provenance", "evaluation"), ("artifact",),
    ("artifact", "packing"), ("artifact", "packing", "files", "model.onnx.zst"),
)  # fmt: skip


def parent(tree: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for key in path[:-1]:
        tree = tree[key]
    return tree


@pytest.mark.parametrize("part", PARTS)
def test_what_is_read_is_written_again_byte_for_byte(part: str) -> None:
    assert json.dumps(written(stored())[part]) == json.dumps(stored()[part])


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_a_report_without_a_key_is_read_and_stays_without_it(path: tuple[str, ...]) -> None:
    old = stored()
    del parent(old, path)[path[-1]]
    assert {part: written(old)[part] for part in PARTS} == {part: old[part] for part in PARTS}


@pytest.mark.parametrize("path", OBJECTS, ids=".".join)
def test_a_key_that_is_not_known_is_kept(path: tuple[str, ...]) -> None:
    new = stored()
    parent(new, (*path, "later"))["later"] = LATER
    assert parent(written(new), (*path, "later"))["later"] == LATER


def test_parts_that_an_earlier_version_did_not_write_are_empty() -> None:
    old = stored()
    for part in ("environment", "provenance", "artifact"):
        del old[part]
    assert [written(old)[part] for part in PARTS[1:]] == [{}, {}, {}]


def test_a_spec_that_this_version_would_refuse_is_read() -> None:
    new = stored()
    new["job"]["spec"] = {"model": {"task": "odour-classification", "source": "s3://models/nose"}, "sla": "strict"}
    job = Report.model_validate(new).job
    assert (job.task, job.traits, job.source) == ("odour-classification", None, "s3://models/nose")
    assert (job.destination, job.quality_metric, job.latency_percentile, job.batch_size) == ("", "", "", 1)
