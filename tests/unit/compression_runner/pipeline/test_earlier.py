"""The measuring time from an earlier report at the same location."""

import json
from pathlib import Path
from typing import Any

import pytest

from compression_runner.pipeline.earlier import measuring_before
from compressionjob.report import JobReport, ModelFigures, Report
from compressionjob.spec import parse_job
from tests.support.manifests import job
from tests.support.plans import open_store

NOW = parse_job(job())


def left_behind(folder: Path, spec: dict[str, Any], timings: dict[str, float]) -> None:
    """The report of an earlier run."""
    report = Report(
        job=JobReport(name="earlier", spec=spec),
        verdict="Fail",
        confidence=0.95,
        baseline=ModelFigures(size_bytes=100),
        compressed=ModelFigures(size_bytes=25),
        timings=timings,
    )
    (folder / "report.json").write_text(json.dumps(report.model_dump(mode="json", by_alias=True)))


def test_the_measuring_time_is_reused_with_other_limits(tmp_path: Path) -> None:
    spec = parse_job(job(spec__sla={"size": {"maxRatio": "0.1"}})).spec.to_json()
    left_behind(tmp_path, spec, {"measuring": 71.0, "stages": 20.0})
    assert measuring_before(NOW, open_store(tmp_path)) == {("measure", ""): 71.0}


@pytest.mark.parametrize("other", [{"spec__benchmark": {"batchSize": 8}}, {"spec__data__evaluation__limit": 7}])
def test_other_benchmark_settings_give_no_measuring_time(tmp_path: Path, other: dict[str, Any]) -> None:
    left_behind(tmp_path, parse_job(job(**other)).spec.to_json(), {"measuring": 71.0})
    assert measuring_before(NOW, open_store(tmp_path)) == {}


def test_without_a_valid_report_the_measuring_time_is_unknown(tmp_path: Path) -> None:
    assert measuring_before(NOW, open_store(tmp_path)) == {}
    (tmp_path / "report.json").write_text("not a report")
    assert measuring_before(NOW, open_store(tmp_path)) == {}
    left_behind(tmp_path, NOW.spec.to_json(), {"preflight": 1.0})
    assert measuring_before(NOW, open_store(tmp_path)) == {}
