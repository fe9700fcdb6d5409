"""Fairness and robustness limits on real data, with models that fail and models that pass."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest
import yaml

from samples.fashion_robust import fashion_robust
from samples.images import fashion
from samples.mail_words import WORDS, mail_words
from samples.tabular import breast_cancer
from tests.methods.jobs import finish

pytestmark = pytest.mark.real_data

INT8 = {"quantize": {"method": "weight-only", "dtype": "int8"}}  # products in float: alike on every CPU


def run(folder: Path, task: str, model: str, data: dict[str, Any], stage: dict[str, Any], sla: dict[str, Any]) -> Any:
    """Run a job in `folder` and return its report."""
    spec = {
        "model": {"source": f"file://./{model}", "task": task},
        "data": {"evaluation": data},
        "pipeline": [stage],
        "sla": {**sla, "onViolation": "Alert"},
        "benchmark": {"timeLimit": "2s"},
        "output": {"destination": "file://./out"},
    }
    manifest = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob"}
    name = Path(model).stem
    job = folder / f"{name}.yaml"
    job.write_text(yaml.safe_dump({**manifest, "metadata": {"name": "trust"}, "spec": spec}))
    return finish(job, folder / f"work-{name}")


def verdicts(report: Any) -> dict[str, str]:
    return {objective["name"]: objective["verdict"] for objective in report["objectives"]}


def test_low_accuracy_in_one_group_fails_the_fairness_limit(tmp_path: Path) -> None:
    """One model was trained without the wanted mails that look like spam and takes half of them for spam."""
    mail_words(tmp_path)
    data = {"source": "file://./test.parquet", "columns": {"group": "kind"}, "limit": 3000}
    sla = {"quality": {"metric": "accuracy", "min": "0.9"}, "fairness": {"minWorst": "0.7", "maxGapIncrease": "0.05"}}
    unfair, fair = (
        run(tmp_path, "tabular-classification", f"{model}.onnx", data, INT8, sla) for model in ("unfair", "model")
    )
    assert verdicts(unfair) == {"quality.score": "Pass", "fairness.worst": "Fail", "fairness.gap.increase": "Pass"}
    assert verdicts(fair) == {"quality.score": "Pass", "fairness.worst": "Pass", "fairness.gap.increase": "Pass"}
    assert fair["verdict"] == "Pass"
    assert unfair["verdict"] == "Fail"
    groups = unfair["trust"]["groups"]
    assert [group["name"] for group in groups["groups"]] == ["hard-ham", "spam", "easy-ham"]
    assert {group["name"]: group["samples"] for group in groups["groups"]} == {
        "hard-ham": 114, "spam": 840, "easy-ham": 1944,
    }  # fmt: skip
    right = _accuracy_by_kind(tmp_path / "work-unfair/output/model.onnx", tmp_path / "test.parquet")
    for group in groups["groups"]:
        assert group["compressed"]["value"] == pytest.approx(right[group["name"]], abs=1e-9)
    assert groups["compressedWorst"]["value"] == pytest.approx(right["hard-ham"])


def _accuracy_by_kind(graph: Path, table: Path) -> dict[str, float]:
    """Return the accuracy by kind of mail, with each mail run alone as the evaluation does."""
    columns = pq.read_table(table).to_pydict()
    words = np.stack([columns[f"w{word}"] for word in range(WORDS)], axis=1).astype(np.float32)
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    predicted = np.concatenate([session.run(None, {"words": row[None]})[0] for row in words]).argmax(1)
    kinds, right = np.array(columns["kind"]), predicted == np.array(columns["label"])
    return {str(kind): float(right[kinds == kind].mean()) for kind in np.unique(kinds)}


def test_only_the_adversarially_trained_model_passes_the_attack(tmp_path: Path) -> None:
    """Both classifiers are accurate on clean images; the attack uses gradients of baseline and result."""
    fashion(tmp_path / "plain")
    fashion_robust(tmp_path / "robust")
    sla = {
        "quality": {"metric": "accuracy", "min": "0.75"},
        "robustness": {"samples": 300, "attack": {"epsilon": "0.05", "min": "0.55", "maxDrop": "0.15"}},
    }
    data = {"source": "file://./images.parquet", "limit": 1000}
    stage = {"prune": {"method": "magnitude", "sparsity": "0.2"}}
    plain, robust = (
        run(tmp_path / name, "image-classification", "model", data, stage, sla) for name in ("plain", "robust")
    )
    assert verdicts(plain)["quality.score"] == "Pass"
    assert verdicts(plain)["robustness.attack.score"] == "Fail"
    assert set(verdicts(robust).values()) == {"Pass"}
    attacked = plain["trust"]["robustness"]
    assert attacked["judgedBy"] == "labels"
    assert attacked["compressedClean"]["value"] > 0.85
    assert attacked["disturbed"][0]["compressed"]["value"] < 0.35
    assert "the baseline and gradients of the result's last float checkpoint" in attacked["disturbed"][0]["method"]


def test_a_graph_without_gradients_is_attacked_with_spsa(tmp_path: Path) -> None:
    breast_cancer(tmp_path)
    limits = {
        "noise": {"level": "0.3", "min": "0.85"},
        "corruption": {"severity": 2, "min": "0.8"},
        "attack": {"epsilon": "0.3", "min": "0.85"},
    }
    sla = {"robustness": limits, "attributions": {"minAgreement": "0.95", "samples": 12}, "flips": {"max": "0.1"}}
    report = run(tmp_path, "tabular-classification", "model.onnx", {"source": "file://./test.parquet"}, INT8, sla)
    verdict_by_objective = verdicts(report)
    assert verdict_by_objective.pop("robustness.attack.score") == "Fail"
    assert set(verdict_by_objective.values()) == {"Pass"}
    disturbed = {item["kind"]: item for item in report["trust"]["robustness"]["disturbed"]}
    assert list(disturbed) == ["gaussian", "missing", "drift", "pgd"]
    assert disturbed["pgd"]["compressed"]["value"] < disturbed["gaussian"]["compressed"]["value"] - 0.15
    assert "SPSA" in disturbed["pgd"]["method"]
    explained = report["trust"]["attributions"]["examples"][0]
    assert explained["features"][0] == "mean radius"
    assert len(explained["baseline"]) == len(explained["compressed"]) == len(explained["values"]) == 30
