"""A real vLLM loads an intact checkpoint of SmolLM2 as it was judged, and none with damage."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.dataset.windows import windows
from compression_runner.errors import BadRecipe
from compression_runner.evaluation.serving.engine_check import (
    CheckedModel,
    Predicted,
    checked_texts,
    judged,
    require_loaded,
)
from compression_runner.inference.opening import open_predictor
from compression_runner.inference.serving import vllm
from compression_runner.stages.method import StageContext
from compressionjob.methods.registry import Quantize
from compressionjob.report import EngineCheck
from samples.bible import chapters
from samples.smollm import smollm2
from tests.support.packed_checkpoints import (
    FIELD,
    STAGE,
    changed,
    exported,
    rename_scale,
    write_wrong_groups,
    zero_scale,
)
from tests.support.stages import apply_method

pytestmark = [pytest.mark.timeout(3600), pytest.mark.usefixtures("vllm_installed")]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A checkpoint of SmolLM2 in INT4."""
    folder = tmp_path_factory.mktemp("smollm2")
    smollm2(folder / "model")
    (folder / "packed").mkdir()
    model = seal(folder / "model", "transformers", "text-generation")
    stage = Quantize.model_validate({**STAGE, "groupSize": 64})
    return apply_method("quantize", model, stage, StageContext(folder / "packed", FIELD)).artifact


@pytest.fixture(scope="module")
def texts(packed: Artifact) -> SampleSet:
    first = [text for _, text in itertools.islice(chapters(), 3)]
    samples, padding = windows(first, packed.path, 128, 8)  # type: ignore[arg-type]
    return checked_texts(SampleSet(samples, "sha256:0", padding=padding), tokens=128)


@pytest.fixture(scope="module")
def expected(packed: Artifact, texts: SampleSet, tmp_path_factory: pytest.TempPathFactory) -> Predicted:
    """What the graph predicts that a run judges."""
    with open_predictor(exported(packed, tmp_path_factory.mktemp("onnx")), 2, "onnxruntime") as graph:
        return judged(graph, texts)


def check(artifact: Artifact, texts: SampleSet, expected: Predicted, scratch: Path) -> EngineCheck:
    plan = vllm.ServerPlan(longest=160, threads=2, cache_gib=1)
    command = vllm.command_of(artifact.path, plan, scratch, scratch / "compressed.log")
    return require_loaded(CheckedModel(artifact.path, command, scratch), texts, expected, lambda _: None)


def test_an_intact_checkpoint_is_loaded_as_it_was_judged(
    packed: Artifact, texts: SampleSet, expected: Predicted, tmp_path: Path
) -> None:
    result = check(packed, texts, expected, tmp_path)
    print(result.to_json())  # noqa: T201 - the figures are the result
    assert result.scales == 210
    assert [item.name.rpartition(".")[2] for item in result.changed] == ["weight_packed", "weight_scale"]


@pytest.mark.parametrize("damage", [rename_scale, zero_scale, write_wrong_groups])
def test_a_damaged_checkpoint_is_refused(
    packed: Artifact, texts: SampleSet, expected: Predicted, tmp_path: Path,
    damage: Callable[[Path], None],
) -> None:  # fmt: skip
    damaged = changed(packed, tmp_path / "damaged", damage)
    with pytest.raises(BadRecipe) as refused:
        check(damaged, texts, expected, tmp_path)
    print(refused.value.problem)  # noqa: T201 - the message is the result
    assert refused.value.reason in ("NotLoadable", "EngineFailed")
    assert "\n" not in refused.value.problem
