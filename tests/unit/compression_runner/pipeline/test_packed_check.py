"""A packed checkpoint that users would load as another model than the judged one is refused."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.formats import packed_loading
from compression_runner.pipeline import packed_check
from compression_runner.pipeline.packed_check import require_same_model
from compression_runner.pipeline.preflight import preflight
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.pipeline.staging import stage
from compression_runner.storage import Stores
from compression_runner.telemetry.progress import RunProgress
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.packed_checkpoints import (
    FIELD,
    LAYER,
    STAGE,
    changed,
    exported,
    packed_llama,
    rename_scale,
    set_scales,
    write_wrong_groups,
    zero_scale,
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path]:
    """A checkpoint for vLLM, and the graph that is measured for it."""
    return packed_llama(tmp_path_factory.mktemp("judged"))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load in this process: a new one imports the libraries for longer than it loads."""

    def load(folder: Path, result: Path, _field: str) -> Mapping[str, NDArray[Any]]:
        packed_loading.main(str(folder), str(result))
        with np.load(result, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    monkeypatch.setattr(packed_check, "_load", load)


def truncate(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def name_unknown_strategy(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["config_groups"]["group_0"]["weights"]["strategy"] = "unknown"
    (folder / "config.json").write_text(json.dumps(config))


def test_an_intact_checkpoint_is_accepted(judged: tuple[Artifact, Path], tmp_path: Path) -> None:
    artifact, graph = judged
    require_same_model(artifact, graph, FIELD, tmp_path / "scratch")


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (rename_scale, rf"{LAYER}\.weight_scales: the library does not use it"),
        (zero_scale, rf"{LAYER}\.weight_scale: a scale of 0 erases"),
        (lambda folder: set_scales(folder, float("nan"), slice(3, 4)), "1 of 64 scales are not finite"),
        (write_wrong_groups, r"weight_scale"),
    ],
)
def test_a_broken_checkpoint_is_refused(
    judged: tuple[Artifact, Path], tmp_path: Path, change: Callable[[Path], None], problem: str
) -> None:
    artifact, graph = judged
    broken = changed(artifact, tmp_path / "broken", change)
    with pytest.raises(BadRecipe, match=problem) as refused:
        require_same_model(broken, graph, FIELD, tmp_path / "scratch")
    assert (refused.value.reason, refused.value.field) == ("NotLoadable", FIELD)


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (zero_scale, r"a scale of 0 erases \d+ of 2048 codes"),
        (lambda folder: set_scales(folder, 0.0, slice(3, 4)), r"a scale of 0 erases \d\d of 2048 codes"),
    ],
)
def test_damage_that_the_judged_graph_shares_is_refused(
    judged: tuple[Artifact, Path], tmp_path: Path, change: Callable[[Path], None], problem: str
) -> None:
    """In a run the graph is exported from the same checkpoint, so its logits are damaged alike."""
    damaged = changed(judged[0], tmp_path / "damaged", change)
    (tmp_path / "onnx").mkdir()
    with pytest.raises(BadRecipe, match=rf"{LAYER}\.weight_scale: {problem}"):
        require_same_model(damaged, exported(damaged, tmp_path / "onnx"), FIELD, tmp_path / "scratch")


@pytest.mark.parametrize("change", [truncate, name_unknown_strategy, lambda folder: (folder / "config.json").unlink()])
def test_a_failure_to_load_is_one_sentence(
    judged: tuple[Artifact, Path], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """The graph does not exist: the result is loaded before the graph, so that both are not in memory at once."""
    broken = changed(judged[0], tmp_path / "broken", change)
    with pytest.raises(BadRecipe, match=r"transformers does not load it: \w+") as refused:
        require_same_model(broken, tmp_path / "absent.onnx", FIELD, tmp_path / "scratch")
    assert (refused.value.reason, refused.value.field) == ("NotLoadable", FIELD)
    # The text of a traceback begins with the exception's type.
    assert "Error: " not in refused.value.problem
    assert "\n" not in refused.value.problem


def test_a_checkpoint_that_loads_too_long_is_refused(
    judged: tuple[Artifact, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_check, "TIMEOUT_SECONDS", 0.1)
    with pytest.raises(BadRecipe, match=r"transformers did not load it in 0\.1 s") as refused:
        require_same_model(*judged, FIELD, tmp_path / "scratch")
    assert "more CPUs" in refused.value.remedy


def test_a_run_checks_its_packed_result(tmp_path: Path) -> None:
    tiny_models.llama(tmp_path / "llama")
    tiny_models.text_data(tmp_path / "texts.parquet")
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": f"file://{tmp_path}/llama", "task": "text-generation"},
            "data": {"evaluation": {"source": f"file://{tmp_path}/texts.parquet"}},
            "pipeline": [{"quantize": STAGE}, {"pack": {}}],
            "benchmark": {"sequenceLength": 32},
            "output": {"destination": f"file://{tmp_path}/out"},
        }
    )
    locations = of_trial(spec, Stores(), tmp_path / "work")
    models = stage(spec, preflight(spec, locations), locations, RunProgress())
    assert models.result.artifact.packing is not None, "the check loads the unpacked result"
    (result,) = tmp_path.rglob("loaded.npz")
    with np.load(result) as loaded:
        assert not loaded["problems"].size
