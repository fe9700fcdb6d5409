"""Reports of other versions can be read, and their unknown keys are kept."""

import json
from typing import Any

import pytest

from compressionjob.report import Report
from tests.support.reports import REPORT_V1

PARTS = ("job", "environment", "provenance", "artifact")
LATER = {"colour": "blue", "nested": [{"deep": None}]}
"""Keys of a possible later version."""


def stored() -> dict[str, Any]:
    report: dict[str, Any] = json.loads(REPORT_V1.read_text())
    return report


def written(content: dict[str, Any]) -> dict[str, Any]:
    """Return the report as it is written again, such as after a review."""
    return Report.model_validate(content).model_dump(mode="json", by_alias=True)


def paths(tree: Any, *before: str) -> list[tuple[str, ...]]:
    """Return the path of every key in the four parts."""
    if not isinstance(tree, dict):
        return []
    return [path for key in tree for path in ((*before, key), *paths(tree[key], *before, key))]


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
def test_a_report_is_written_again_byte_for_byte(part: str) -> None:
    assert json.dumps(written(stored())[part]) == json.dumps(stored()[part])


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_an_absent_key_stays_absent(path: tuple[str, ...]) -> None:
    old = stored()
    del parent(old, path)[path[-1]]
    assert {part: written(old)[part] for part in PARTS} == {part: old[part] for part in PARTS}


@pytest.mark.parametrize("path", OBJECTS, ids=".".join)
def test_an_unknown_key_is_kept(path: tuple[str, ...]) -> None:
    new = stored()
    parent(new, (*path, "later"))["later"] = LATER
    assert parent(written(new), (*path, "later"))["later"] == LATER


def test_parts_missing_in_an_earlier_version_are_empty() -> None:
    old = stored()
    for part in ("environment", "provenance", "artifact"):
        del old[part]
    assert [written(old)[part] for part in PARTS[1:]] == [{}, {}, {}]


def test_a_spec_that_this_version_refuses_can_be_read() -> None:
    new = stored()
    new["job"]["spec"] = {"model": {"task": "odour-classification", "source": "s3://models/nose"}, "sla": "strict"}
    job = Report.model_validate(new).job
    assert (job.task, job.traits, job.source) == ("odour-classification", None, "s3://models/nose")
    assert (job.destination, job.quality_metric, job.latency_percentile, job.batch_size) == ("", "", "", 1)
