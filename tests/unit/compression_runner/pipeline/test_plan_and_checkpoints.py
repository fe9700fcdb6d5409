"""The plan of a spec with fingerprints, and checkpoints by fingerprint."""

from pathlib import Path
from typing import Any

import pytest

from compression_runner import artifact as artifacts
from compression_runner.artifact import Artifact, ArtifactDamaged, seal
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.planner import PipelinePlan
from compression_runner.storage.directory import DirectoryStore
from tests.support import tiny_models
from tests.support.plans import plan_for

QUANTIZE: dict[str, Any] = {"quantize": {"method": "dynamic"}}
PRUNE: dict[str, Any] = {"prune": {"sparsity": "0.5"}}
PACK: dict[str, Any] = {"pack": {"codec": "zstd"}}


def methods(plan: PipelinePlan) -> list[str]:
    return [step.method.name for step in plan.steps]


def test_an_export_is_inserted_before_a_method_that_needs_a_graph(bert: Path) -> None:
    plan = plan_for(bert, "text-embedding", PRUNE, QUANTIZE, PACK)
    assert methods(plan) == ["prune", "export", "quantize", "pack"]
    assert plan.measured is None
    assert plan.baseline is not None
    assert plan.baseline.fingerprint not in [step.fingerprint for step in plan.steps]


def test_equal_exports_of_baseline_and_pipeline_are_shared(bert: Path) -> None:
    plan = plan_for(bert, "text-embedding", QUANTIZE)
    assert plan.baseline is not None
    assert plan.steps[0].fingerprint == plan.baseline.fingerprint
    assert len(plan.every_step) == 2


def test_a_directory_result_is_exported_for_measuring(bert: Path) -> None:
    plan = plan_for(bert, "text-embedding", PRUNE, PACK)
    assert methods(plan) == ["prune", "pack"]
    assert plan.measured is not None
    assert plan.measured.parent is plan.steps[0]


def test_a_graph_needs_no_export(tmp_path: Path) -> None:
    plan = plan_for(tiny_models.perceptron(tmp_path / "model"), "onnx", PRUNE, QUANTIZE)
    assert methods(plan) == ["prune", "quantize"]
    assert plan.baseline is None


def test_fingerprints_change_with_parameters_and_earlier_steps(bert: Path) -> None:
    base = plan_for(bert, "text-embedding", QUANTIZE)
    assert plan_for(bert, "text-embedding", QUANTIZE).fingerprint == base.fingerprint
    assert plan_for(bert, "text-embedding", {"quantize": {"granularity": "tensor"}}).fingerprint != base.fingerprint
    assert plan_for(bert, "text-embedding", PRUNE, QUANTIZE).fingerprint != base.fingerprint
    named = plan_for(bert, "text-embedding", {"name": "int8", **QUANTIZE})
    assert named.fingerprint == base.fingerprint
    assert named.steps[-1].title == "int8"


def commit(checkpoints: Checkpoints, content: bytes = b"weights") -> Artifact:
    place = checkpoints.begin("f1")
    (place / "model.onnx").write_bytes(content)
    return checkpoints.commit("f1", seal(place, "onnx", "onnx").with_provenance({"stages": []}))


def test_a_checkpoint_survives_in_the_store_when_the_work_directory_is_gone(tmp_path: Path) -> None:
    def remote(fingerprint: str) -> DirectoryStore:
        place = tmp_path / "remote" / fingerprint
        return DirectoryStore(f"file://{place}", place, "spec.output.checkpoints")

    made = commit(Checkpoints(tmp_path / "first", remote))
    elsewhere = Checkpoints(tmp_path / "second", remote)
    assert elsewhere.has("f1")
    artifact = elsewhere.get("f1")
    assert artifact is not None
    assert artifact.digest == made.digest
    assert artifact.path == tmp_path / "second" / "f1"


@pytest.mark.parametrize("where", ["local", "remote"])
def test_a_damaged_checkpoint_is_created_again(tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture) -> None:
    def remote(fingerprint: str) -> DirectoryStore:
        place = tmp_path / "remote" / fingerprint
        return DirectoryStore(f"file://{place}", place, "spec.output.checkpoints")

    commit(Checkpoints(tmp_path / "work", remote if where == "remote" else None))
    damaged = tmp_path / ("remote" if where == "remote" else "work") / "f1" / "model.onnx"
    damaged.write_bytes(b"weighty")
    again = Checkpoints(tmp_path / ("new" if where == "remote" else "work"), remote if where == "remote" else None)
    assert again.get("f1") is None
    assert "damaged and will be created again" in caplog.text


def test_an_incomplete_checkpoint_is_ignored(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, None)
    (checkpoints.begin("f1") / "model.onnx").write_bytes(b"half")
    assert not checkpoints.has("f1")
    assert not Checkpoints(tmp_path, None).has("f1")
    assert list(tmp_path.iterdir()) == []


def test_a_changed_artifact_does_not_verify(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    sealed = seal(tmp_path, "onnx", "onnx")
    artifacts.verify(sealed)
    text = (tmp_path / "artifact.json").read_text()
    (tmp_path / "artifact.json").write_text(text.replace(sealed.files[0].sha256, "0" * 64))
    with pytest.raises(ArtifactDamaged, match="its list has"):
        artifacts.load(tmp_path)
    (tmp_path / "artifact.json").write_text(text)
    (tmp_path / "model.onnx").write_bytes(b"wEights")
    with pytest.raises(ArtifactDamaged, match="does not have the sha256"):
        artifacts.verify(artifacts.load(tmp_path))


def test_the_digest_depends_on_content_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_bytes(b"weights")
    first = seal(tmp_path / "a", "onnx", "onnx")
    assert first.with_provenance({"who": "cares"}).digest == seal(tmp_path / "b", "onnx", "onnx").digest
