"""A trial that is measured in PyTorch, to its verdict."""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel

from compression_runner import artifact as artifacts
from tests.integration.runner.test_trial import runner, write_text_job
from tests.support import tiny_models


def test_a_folder_is_compressed_measured_and_judged_in_pytorch(tmp_path: Path) -> None:
    folder, work = tmp_path / "a", tmp_path / "work"
    job = write_text_job(
        folder,
        pipeline=[{"quantize": {"method": "cast", "dtype": "bfloat16"}}, {"pack": {"codec": "zstd"}}],
        sla={"size": {"maxRatio": "0.6"}, "quality": {"maxDrop": "0.01"}},
        benchmark={"engine": "torch", "sequenceLength": 16, "timeLimit": "1s", "threads": 1},
    )
    ended = runner("run", job, "--workdir", work)
    assert ended.returncode == 0, ended.stderr
    report = json.loads((work / "report.json").read_text())
    assert report["verdict"] == "Pass"
    assert [stage["method"] for stage in report["stages"]] == ["quantize", "pack"]
    about = report["environment"]
    assert about["measuredIn"].startswith(f"torch {torch.__version__.partition('+')[0]}")
    assert " with transformers " in about["measuredIn"]
    assert about["device"] == "CPU"
    assert about["precision"] == "the types of the weights: float32 (baseline) and bfloat16 (compressed)"
    assert about["baselineIs"] == "the source, as PyTorch loads it"
    assert (about["threads"], about["evaluationSamples"]) == (1, 60)
    for side in ("baseline", "compressed"):
        figures = report[side]
        assert min(figures["latencySeconds"].values()) > 0
        assert figures["throughputPerSecond"] > 0
        assert figures["peakMemoryBytes"] > about["memoryFloorBytes"]
    assert 0.99 < report["compressed"]["quality"]["cosine"] < 1, "the compressed model rounds to bfloat16"
    assert 0 < about["maxAbsDifference"] < 0.1
    assert "Both models ran in torch " in (work / "report.md").read_text()

    published = artifacts.load(work / "output")
    artifacts.verify(published)
    assert (published.format, published.packing is not None) == ("transformers", True)
    restored = tmp_path / "restored"
    assert runner("unpack", work / "output", restored).returncode == 0
    model = AutoModel.from_pretrained(restored)
    assert model.dtype == torch.bfloat16
    tokens = torch.from_numpy(np.full((1, 4), len(tiny_models.SPECIAL)))
    assert torch.isfinite(model(input_ids=tokens).last_hidden_state).all()
