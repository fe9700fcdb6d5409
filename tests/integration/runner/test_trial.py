"""Local trials on the command line: exit status, files, resume, plan and unpack."""

import itertools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from compression_runner import artifact as artifacts
from compression_runner.pipeline.machine_lock import LOCK_VARIABLE, MachineLock
from compression_runner.telemetry.progress import RunProgress
from tests.support import tiny_models
from tests.support.forked import ForkedRunner


def write_job(folder: Path, **changes: Any) -> Path:
    """Return a manifest beside its model, a graph, and its data; `changes` replace fields of its spec."""
    spec: dict[str, Any] = {
        "model": {"source": "file://./perceptron/model.onnx", "task": "onnx"},
        "data": {"evaluation": {"source": "file://./arrays.npz"}},
        "pipeline": [{"prune": {"sparsity": "0.3"}}, {"quantize": {"method": "dynamic"}}],
        "sla": {"size": {"maxRatio": "0.9"}},
        "benchmark": {"timeLimit": "1s", "threads": 1},
        "output": {"destination": "file://./published"},
    }
    if not (folder / "perceptron").exists():
        tiny_models.perceptron(folder / "perceptron")
        tiny_models.array_data(folder / "arrays.npz")
    return _written(folder, spec | changes)


def write_text_job(folder: Path, **changes: Any) -> Path:
    """Return the same with a Transformers model, which is exported to a graph."""
    text: dict[str, Any] = {
        "model": {"source": "file://./bert", "task": "text-embedding"},
        "data": {"evaluation": {"source": "file://./sentences.parquet"}},
        "pipeline": [{"quantize": {"method": "dynamic"}}],
        "benchmark": {"sequenceLength": 16, "timeLimit": "1s", "threads": 1},
    }
    if not (folder / "bert").exists():
        tiny_models.bert(folder / "bert")
        tiny_models.text_data(folder / "sentences.parquet")
    return write_job(folder, **(text | changes))


def _written(folder: Path, spec: dict[str, Any]) -> Path:
    job = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionJob",
        "metadata": {"name": "tiny"},
        "spec": spec,
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return folder / "job.yaml"


def runner(*arguments: object, largest_file: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in its own process."""
    return ForkedRunner(arguments, largest_file=largest_file).end(timeout=240)


def test_a_passing_trial_exits_with_0_and_writes_all_files(tmp_path: Path) -> None:
    job, work = write_text_job(tmp_path / "a"), tmp_path / "work"
    ended = runner("run", job, "--workdir", work)
    assert ended.returncode == 0, ended.stderr
    assert "Pass" in ended.stdout
    report = json.loads((work / "report.json").read_text())
    assert report["verdict"] == "Pass"
    assert {"name", "limit", "measured", "low", "high", "verdict"} <= set(report["objectives"][0])
    for side in ("baseline", "compressed"):
        figures = report[side]
        assert set(figures["latencySeconds"]) == {"p50", "p90", "p99"}
        assert figures["peakMemoryBytes"] > 0
        assert figures["throughputPerSecond"] > 0
        assert figures["quality"]["cosine"] > 0.9
    stages = report["stages"]
    assert [(stage["name"], stage["reused"]) for stage in stages] == [("export", False), ("quantize", False)]
    assert {"name", "method", "fingerprint", "sizeBytes", "seconds", "reused"} <= set(stages[0])
    assert (work / "report.html").is_file()
    assert (work / "report.md").read_text().startswith("## ✓ Pass: `tiny`")
    artifacts.verify(artifacts.load(work / "output"))
    assert not (tmp_path / "a" / "published").exists()

    again = runner("run", job, "--workdir", work)
    assert again.returncode == 0, again.stderr
    stages = json.loads((work / "report.json").read_text())["stages"]
    assert [stage["reused"] for stage in stages] == [True, True]


def test_a_trial_waits_and_reports_it_while_another_measures(tmp_path: Path) -> None:
    work = tmp_path / "work"
    command = [
        sys.executable,
        "-m",
        "compression_runner",
        "run",
        str(write_job(tmp_path / "a")),
        "--workdir",
        str(work),
    ]
    lock = MachineLock(Path(os.environ[LOCK_VARIABLE]), RunProgress())
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        with lock.measuring():
            assert process.stderr is not None
            said = list(itertools.takewhile(lambda line: "waiting for its turn" not in line, process.stderr))
            assert not any("fetch" in line or "prune" in line for line in said), "no stage runs meanwhile"
            time.sleep(1.0)
            assert process.poll() is None
        _, rest = process.communicate(timeout=240)
    assert process.returncode == 0, rest
    report = json.loads((work / "report.json").read_text())
    assert report["timings"]["waiting"] >= 1.0
    about = report["environment"]
    assert (about["isolation"], about["pinned"], about["threads"]) == ("Turns", True, 1)
    assert about["measuredCpus"] == str(min(os.sched_getaffinity(0)))


def test_a_failing_trial_exits_with_3_and_no_output(tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert runner("run", write_job(tmp_path / "a"), "--workdir", work).returncode == 0
    assert (work / "output").is_dir()
    ended = runner("run", write_job(tmp_path / "a", sla={"size": {"maxRatio": "0.05"}}), "--workdir", work)
    assert ended.returncode == 3, ended.stderr
    assert "Fail" in ended.stdout
    assert json.loads((work / "report.json").read_text())["verdict"] == "Fail"
    # The files of the earlier run must not be mistaken for this one's.
    assert not (work / "output").exists()


def test_packed_results_are_measured_unpacked_and_restored_bit_for_bit(tmp_path: Path) -> None:
    job = write_text_job(tmp_path / "a", pipeline=[{"prune": {"sparsity": "0.4"}}, {"pack": {"codec": "zstd"}}])
    work = tmp_path / "work"
    ended = runner("run", job, "--workdir", work)
    assert ended.returncode == 0, ended.stderr
    report = json.loads((work / "report.json").read_text())
    assert report["compressed"]["sizeBytes"] < report["baseline"]["sizeBytes"]
    assert report["stages"][0]["sizeBytes"] == report["stages"][1]["details"]["unpackedBytes"]
    unpacked = runner("unpack", work / "output", tmp_path / "plain")
    assert unpacked.returncode == 0, unpacked.stderr
    pruned = artifacts.load(work / "checkpoints" / report["stages"][0]["fingerprint"])
    assert artifacts.load(tmp_path / "plain").digest == pruned.digest
    packed_file = next(place for place in (work / "output").iterdir() if place.suffix == ".zst")
    packed_file.write_bytes(packed_file.read_bytes()[:-10] + bytes(10))
    spoilt = runner("unpack", work / "output", tmp_path / "other")
    assert spoilt.returncode == 2
    assert "sha256" in spoilt.stderr


def test_phases_run_in_the_planned_order(tmp_path: Path) -> None:
    """A phase that comes too early counts those before it as done; their later progress does not count."""
    stages = [{"prune": {"method": "structured", "structure": "heads", "sparsity": "0.5"}}, {"quantize": {}}]
    ended = runner("run", write_text_job(tmp_path / "a", pipeline=stages), "--workdir", tmp_path / "work")
    said = re.findall(r"^\[(\d+)/(\d+)\] (\S+)$", ended.stdout + ended.stderr, re.MULTILINE)
    assert [name for _, _, name in said] == [
        "preflight", "fetch", "data", "export", "prune", "export", "quantize", "measure", "publish",
    ]  # fmt: skip
    assert [int(number) for number, _, _ in said[1:]] == list(range(2, len(said) + 1))
    assert {total for _, total, _ in said[1:]} == {str(len(said))}


def test_publish_uses_the_locations_of_the_spec(tmp_path: Path) -> None:
    job = write_job(tmp_path / "a")
    ended = runner("run", job, "--workdir", tmp_path / "work", "--publish")
    assert ended.returncode == 0, ended.stderr
    artifacts.verify(artifacts.load(tmp_path / "a" / "published"))
    assert (tmp_path / "a" / "published-report" / "report.html").is_file()
    assert len(list((tmp_path / "a" / "published-checkpoints").iterdir())) == 2
    assert not (tmp_path / "work" / "output").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pipeline": [{"prune": {"sparsity": "1.5"}}]}, "spec.pipeline[0].prune.sparsity"),
        ({"model": {"source": "file://./nothing", "task": "text-embedding"}}, "there is no such file"),
        ({"model": {"source": "ftp://a/b", "task": "text-embedding"}}, "spec.model.source"),
        ({"data": {"evaluation": {"source": "file://./bert/config.json"}}}, "spec.data.evaluation.source"),
        ({"data": {"evaluation": {"source": "file://./sentences.parquet", "columns": {"text": "words"}}}}, "words"),
    ],
)
def test_invalid_jobs_end_with_2_and_name_field_and_remedy(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    ended = runner("run", write_text_job(tmp_path / "a", **changes), "--workdir", tmp_path / "work")
    assert ended.returncode == 2, ended.stderr
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "work" / "output").exists()


def test_plan_shows_the_stages_without_moving_weights(tmp_path: Path) -> None:
    job = write_text_job(tmp_path / "a", pipeline=[{"prune": {"sparsity": "0.4"}}, {"quantize": {}}, {"pack": {}}])
    before = sorted(place for place in tmp_path.rglob("*"))
    ended = runner("plan", job)
    assert ended.returncode == 0, ended.stderr
    for word in ("prune", "export", "quantize", "pack", "memory: about", "disk: up to", "BertModel"):
        assert word in ended.stdout
    assert sorted(place for place in tmp_path.rglob("*")) == before


def test_plan_shows_the_decidable_differences(tmp_path: Path) -> None:
    quality = {"metric": "neighbours", "maxDrop": "0.001"}
    ended = runner("plan", write_text_job(tmp_path / "a", sla={"quality": quality, "size": {"maxRatio": "0.9"}}))
    assert ended.returncode == 0, ended.stderr
    assert "decides a difference of: any difference (sizes are counted)" in ended.stdout
    assert "half of that: 4,000 samples" in " ".join(ended.stdout.split())
    assert "spec.sla.quality.maxDrop (0.001): 1,000 evaluation samples cannot decide it" in ended.stderr


def test_plan_checks_the_destination_with_publish(tmp_path: Path) -> None:
    job = write_job(tmp_path / "a")
    (tmp_path / "a" / "published").mkdir()
    (tmp_path / "a" / "published" / "thesis.tex").write_text("years of work")
    assert runner("plan", job).returncode == 0
    ended = runner("plan", job, "--publish")
    assert ended.returncode == 2
    assert "spec.output.destination" in ended.stderr


def test_an_impossible_plan_exits_with_2(tmp_path: Path) -> None:
    job = write_text_job(tmp_path / "a")
    weights = tmp_path / "a" / "bert" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    ended = runner("plan", job)
    assert ended.returncode == 2
    assert "truncated" in ended.stderr


def test_a_full_disk_exits_with_7_and_leaves_nothing(tmp_path: Path) -> None:
    job = write_text_job(tmp_path / "a")
    assert (tmp_path / "a" / "bert" / "model.safetensors").stat().st_size > 60_000
    ended = runner("run", job, "--workdir", tmp_path / "work", largest_file=60_000)
    assert ended.returncode == 7, ended.stderr
    assert "no space left" in ended.stderr
    assert not (tmp_path / "work" / "output").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
def test_a_small_disk_is_reported_before_anything_moves(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=True)
    try:
        ended = runner("run", write_text_job(tmp_path / "a"), "--workdir", small / "work")
        assert ended.returncode == 7, ended.stderr
        assert "are free" in ended.stderr
        assert not (small / "work" / "scratch" / "source").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_trial_killed_at_any_moment_resumes_to_the_same_result(tmp_path: Path) -> None:
    stages = [{"prune": {"sparsity": "0.4"}}, {"quantize": {}}, {"pack": {"codec": "gzip"}}]
    job = write_job(tmp_path / "a", pipeline=stages)
    assert runner("run", job, "--workdir", tmp_path / "reference").returncode == 0
    expected = artifacts.load(tmp_path / "reference" / "output").digest
    work = tmp_path / "work"
    for pause in (0.1, 0.4, 1.2):
        process = ForkedRunner(["run", job, "--workdir", work])
        time.sleep(pause)
        process.kill()
        process.end(timeout=60)
        if (work / "output").exists():
            artifacts.verify(artifacts.load(work / "output"))
    assert runner("run", job, "--workdir", work).returncode == 0
    assert artifacts.load(work / "output").digest == expected
