"""Telemetry of a run: monotonic progress, log lines, metrics, and the termination message."""

import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from compression_runner.errors import BadRecipe, DiskFull, InvalidInput, RunnerError, StorageUnavailable
from compression_runner.pipeline.reporting import violation
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.phase import Phase
from compression_runner.telemetry.progress import RunProgress
from compression_runner.telemetry.server import serve
from compression_runner.telemetry.termination import leave_message
from compressionjob.report import Summary, parse_summary

PHASES = [Phase("fetch", "", 5), Phase("export", "export", 10), Phase("int8", "quantize", 3), Phase("measure", "", 60)]


def test_progress_grows_to_one_even_when_phases_are_skipped() -> None:
    progress = RunProgress()
    seen = []
    with progress.phase("preflight"):
        seen.append(progress.snapshot().fraction)
    progress.expect(PHASES)
    with progress.phase("int8", "quantize") as advance:
        for within in (0.0, 0.5, 0.2, 1.0):
            advance(within, "working")
            seen.append(progress.snapshot().fraction)
    assert progress.snapshot().stage == "int8"
    with progress.phase("measure"):
        seen.append(progress.snapshot().fraction)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(18 / 78)
    progress.finish()
    assert progress.snapshot().percent == 100


def test_an_unexpected_phase_is_accepted() -> None:
    progress = RunProgress()
    progress.expect(PHASES)
    with progress.phase("surprise"):
        assert progress.snapshot().stage == "surprise"
    with progress.phase("fetch"):
        assert progress.snapshot().index == 2


def test_a_stage_that_fetches_its_teacher_is_still_that_stage() -> None:
    progress = RunProgress()
    progress.expect([Phase("taught", "distill", 60), Phase("measure", "", 60)])
    with progress.phase("taught", "distill") as advance:
        advance(0.5, "")
        with progress.phase("fetch"):
            assert progress.snapshot().stage == "fetch"
        assert progress.snapshot().stage == "taught"
        assert progress.snapshot().fraction == pytest.approx(30 / 120)
        advance(0.75, "")
        assert progress.snapshot().fraction == pytest.approx(45 / 120)
    assert progress.snapshot().fraction == pytest.approx(60 / 120)


def test_metrics_and_progress_are_served() -> None:
    metrics = RunMetrics()
    progress = RunProgress([metrics])
    progress.expect(PHASES)
    server = serve(progress, metrics, port=0)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with progress.phase("export", "export"):
            metrics.size("export", 90)
            metrics.latencies("baseline", np.array([0.002, 0.2]))
            text = urllib.request.urlopen(f"{address}/metrics").read().decode()
            document = json.loads(urllib.request.urlopen(f"{address}/progress").read())
        assert 'compression_runner_stage{method="export",stage="export"} 1.0' in text
        assert 'compression_runner_size_bytes{stage="export"} 90.0' in text
        assert 'compression_runner_latency_seconds_bucket{le="0.0025",model="baseline"} 1.0' in text
        assert (document["stage"], document["index"], document["total"]) == ("export", 2, 4)
        assert urllib.request.urlopen(f"{address}/healthz").read() == b"ok\n"
        with progress.phase("int8", "quantize"):
            after = metrics.expose().decode()
        assert 'stage{method="export",stage="export"}' not in after
        assert 'stage_seconds{method="export",stage="export"}' in after
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        (InvalidInput, 2, "InvalidInput"),
        (StorageUnavailable, 4, "StorageUnavailable"),
        (BadRecipe, 5, "BadRecipe"),
        (DiskFull, 7, "DiskFull"),
    ],
)
def test_an_error_fits_into_the_termination_message(
    tmp_path: Path, kind: type[RunnerError], code: int, reason: str
) -> None:
    error = kind("Detail", "spec.model.source", "x" * 5000, "p" * 5000, "do something")
    assert error.exit_code == code
    place = tmp_path / "termination-log"
    leave_message(Summary(error=violation(error)), place)
    assert not place.exists()
    place.touch()
    leave_message(Summary(error=violation(error)), place)
    assert place.stat().st_size <= 4096
    summary = parse_summary(place.read_text())
    assert summary is not None
    assert summary.error is not None
    assert summary.error.reason == reason
    assert summary.error.remedy == "do something"
