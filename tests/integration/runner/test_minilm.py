"""The real MiniLM on real sentences: INT8 per channel keeps its promise, and per tensor it is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from samples.text import minilm, sentences
from tests.integration.runner.test_trial import runner

EXAMPLES = Path(__file__).parents[3] / "examples" / "local"


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model and the data as the examples name them."""
    folder = tmp_path_factory.mktemp("minilm")
    minilm(folder / "data" / "minilm")
    sentences(folder / "data")
    return folder


def trial(folder: Path, example: str, status: int) -> dict[str, Any]:
    """Return the report of an example, without its limits on time and with a short benchmark."""
    job = yaml.safe_load((EXAMPLES / example).read_text())
    job["spec"]["sla"].pop("latency", None)
    job["spec"]["benchmark"] = {"timeLimit": "5s"}
    (folder / example).write_text(yaml.safe_dump(job))
    ended = runner("run", folder / example, "--workdir", folder / "work")
    assert ended.returncode == status, ended.stderr
    report: dict[str, Any] = json.loads((folder / "work" / "report.json").read_text())
    return report


def test_int8_by_channels_is_a_quarter_of_the_size_and_the_same_embeddings(seeded: Path) -> None:
    report = trial(seeded, "minilm-int8.yaml", 0)
    assert report["verdict"] == "Pass"
    assert report["compressed"]["sizeBytes"] / report["baseline"]["sizeBytes"] <= 0.26
    assert report["compressed"]["quality"]["cosine"] >= 0.99
    (quality,) = [one for one in report["looks"] if one["objective"] == "quality.drop"]
    assert report["environment"]["evaluationSamples"] == quality["looks"][-1]["count"] in (655, 755, 869, 1000)
    assert quality["looks"][-1]["verdict"] == "Pass"
    assert (seeded / "work" / "output" / "model.onnx").is_file()


def test_one_scale_for_each_tensor_is_refused(seeded: Path) -> None:
    report = trial(seeded, "minilm-per-tensor.yaml", 3)
    assert report["verdict"] == "Fail"
    failed = [item["name"] for item in report["objectives"] if item["verdict"] == "Fail"]
    assert failed == ["quality.drop"]
    assert report["compressed"]["quality"]["neighbours"] < 0.9
    assert not (seeded / "work" / "output").exists()
