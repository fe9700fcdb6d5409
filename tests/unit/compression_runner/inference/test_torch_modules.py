"""PyTorch as an engine: its answers are those of transformers, eager and compiled."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
)

from compression_runner.dataset.cache_inputs import empty_past
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.evaluation.speed.compiled import compiled
from compression_runner.evaluation.speed.scenario import SystemUnderTest
from compression_runner.formats.opening import open_model
from compression_runner.inference.predictor import Feed, ModelOrigin, Predictor
from compression_runner.inference.torch_modules import TorchPredictor, no_compiling
from tests.support import tiny_models

TOLERANCE: Final = 1e-5
"""Of answers of about 1: float32 sums in another order differ by about 1e-6."""
VOCABULARY: Final = len(tiny_models.SPECIAL) + len(tiny_models.WORDS)
LAST_STAGE: Final = ModelOrigin("spec.pipeline[0].prune", compressed=True)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.bert(tmp_path_factory.mktemp("models") / "bert", labels=3)


@pytest.fixture(scope="module")
def eager(classifier: Path) -> Iterator[Predictor]:
    with open_model(classifier, "text-classification", 1, "torch") as predictor:
        yield predictor


@pytest.fixture(scope="module")
def programs(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    """A compiled predictor; the first run of a size class takes up to a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("programs")))
        with open_model(classifier, "text-classification", 1, "torch-compile") as predictor:
            yield predictor


def texts(batch: int, length: int, seed: int = 0, short: int = 0) -> dict[str, Any]:
    """Return random tokens; the last text is padded by `short` tokens."""
    tokens = np.random.default_rng(seed).integers(len(tiny_models.SPECIAL), VOCABULARY, (batch, length))
    mask = np.ones((batch, length), np.int64)
    if short:
        mask[-1, -short:] = 0
    return {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}


def tensors(feed: Feed) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in feed.items()}


def test_a_classifier_answers_what_transformers_answers(classifier: Path, eager: Predictor) -> None:
    feed = texts(3, 9, short=4)
    with torch.no_grad():
        expected = AutoModelForSequenceClassification.from_pretrained(classifier)(**tensors(feed)).logits.numpy()
    (answers,) = eager.run(feed)
    np.testing.assert_allclose(answers, expected, atol=TOLERANCE)
    assert [(info.name, info.shape, info.axis) for info in eager.outputs] == [("logits", (None, 3), 0)]
    assert [info.name for info in eager.inputs] == ["input_ids", "attention_mask", "token_type_ids"]
    assert all(info.shape == (None, None) and info.dtype == np.int64 for info in eager.inputs)
    assert eager.precision == "float32"


def test_images_and_summaries_are_what_transformers_answers(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).standard_normal((2, 1, 16, 16)).astype(np.float32)
    folder = tiny_models.resnet(tmp_path / "resnet")
    with open_model(folder, "image-classification", 1, "torch") as predictor, torch.no_grad():
        (logits,) = predictor.run({"pixel_values": pixels})
        model: Any = AutoModelForImageClassification.from_pretrained(folder)
        np.testing.assert_allclose(logits, model(torch.from_numpy(pixels)).logits.numpy(), atol=TOLERANCE)
        assert predictor.inputs[0].shape == (None, 1, 16, 16)
    folder = tiny_models.summarizer(tmp_path / "t5")
    tokens = np.random.default_rng(0).integers(3, 20, (2, 6))
    feed = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "decoder_input_ids": tokens[:, :4]}
    with open_model(folder, "summarization", 1, "torch") as predictor, torch.no_grad():
        (logits,) = predictor.run(feed)
        model = AutoModelForSeq2SeqLM.from_pretrained(folder)
        np.testing.assert_allclose(logits, model(**tensors(feed)).logits.numpy(), atol=TOLERANCE)


def test_a_language_model_continues_from_its_cache(tmp_path: Path) -> None:
    folder = tiny_models.llama(tmp_path / "llama")
    tokens = np.random.default_rng(0).integers(1, 200, (2, 8))
    with open_model(folder, "text-generation", 1, "torch") as predictor, torch.no_grad():
        states = [info for info in predictor.inputs if info.name.startswith("past_key_values.")]
        feed = {"input_ids": tokens[:, :7], "attention_mask": np.ones((2, 7), np.int64)}
        first = predictor.run(feed | {info.name: empty_past(info, 2) for info in states})
        cache = dict(zip((info.name for info in states), first[1:], strict=True))
        step = predictor.run({"input_ids": tokens[:, 7:], "attention_mask": np.ones((2, 8), np.int64)} | cache)
        model: Any = AutoModelForCausalLM.from_pretrained(folder)
        expected = model(torch.from_numpy(tokens)).logits.numpy()
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(first[0], expected[:, :7], atol=TOLERANCE * scale)
    np.testing.assert_allclose(step[0], expected[:, 7:], atol=TOLERANCE * scale)
    assert step[1].shape == (2, 2, 8, 8)
    assert [info.name for info in predictor.outputs][:2] == ["logits", "present.0.key"]


@pytest.mark.parametrize("task", ["text-embedding", "text-classification"])
def test_a_folder_in_bfloat16_is_computed_in_bfloat16(task: Any, tmp_path: Path) -> None:
    labels = 3 if task == "text-classification" else 0
    folder = tiny_models.bert(tmp_path / "half", labels=labels, dtype=torch.bfloat16)
    full = tiny_models.bert(tmp_path / "full", labels=labels)
    feed = texts(2, 12)
    with open_model(folder, task, 1, "torch") as half, open_model(full, task, 1, "torch") as whole:
        (rounded,), (exact,) = half.run(feed), whole.run(feed)
    assert (half.precision, whole.precision) == ("bfloat16", "float32")
    assert rounded.dtype == np.float32
    np.testing.assert_array_equal(rounded, torch.from_numpy(rounded).bfloat16().float().numpy())
    assert 1e-4 < float(np.abs(rounded - exact).max()) < 0.1


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
# No text is as long as the batch is large: equal sizes get a program of their own, which takes a minute.
@given(batch=st.integers(2, 4), length=st.integers(5, 24), seed=st.integers(0, 9), share=st.floats(0.0, 0.9))
def test_both_engines_answer_each_text_alike_in_any_batch_and_padding(
    eager: Predictor, programs: Predictor, batch: int, length: int, seed: int, share: float
) -> None:
    feed = texts(batch, length, seed, short=int(share * length))
    (answers,), (fast,) = eager.run(feed), programs.run(feed)
    np.testing.assert_allclose(fast, answers, atol=TOLERANCE)
    kept = length - int(share * length)
    (alone,) = eager.run({name: array[-1:, :kept] for name, array in feed.items()})
    np.testing.assert_allclose(answers[-1:], alone, atol=TOLERANCE, err_msg="padding and other texts change nothing")


def test_no_size_of_a_measurement_is_compiled_in_it(classifier: Path, programs: Predictor) -> None:
    query, batches = texts(2, 16), []

    def answer_batch(indices: Any) -> None:
        batches.append(len(indices))
        programs.run(texts(len(indices) + 1, 8))

    side = SystemUnderTest(lambda _: programs.run(query) and None, answer_batch, 4, 4, shapes=[(2, 16)] * 4)
    with (
        compiled((programs,), (side,), {1, 3}),
        open_model(classifier, "text-classification", 1, "torch-compile") as new,
    ):
        assert sorted(batches) == [1, 3]
        side.answer(3)
        answer_batch([0, 1])
        with pytest.raises(InvalidInput, match="fail_on_recompile"):
            new.run(query)
    # The programs of one model are not those of another: after the block, the model compiles its own.


def test_engines_that_compile_nothing_answer_nothing_beforehand(eager: Predictor) -> None:
    def refuse(_: Any) -> None:
        raise AssertionError("it answers")

    with compiled((eager,), (SystemUnderTest(refuse, refuse, 1, 1, shapes=[()]),), {1}):
        assert eager.compiles is False
    with no_compiling():
        assert eager.run(texts(1, 3))[0].shape == (1, 3)


def test_a_run_uses_the_threads_of_its_predictor(classifier: Path) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    with open_model(classifier, "text-classification", 2, "torch") as two:
        with open_model(classifier, "text-classification", 3, "torch") as three:
            for predictor in (two, three):
                assert isinstance(predictor, TorchPredictor)
                predictor._module.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
            for predictor in (two, three, three, two):
                predictor.run(texts(1, 4))
            torch.set_num_threads(1)  # another user of torch in this process
            three.run(texts(1, 4))
        two.run(texts(1, 4))
    assert seen == [2, 3, 3, 2, 3, 2]
    assert torch.get_num_threads() == before, "others get theirs back"


def test_a_model_that_does_not_run_is_refused_with_its_inputs(eager: Predictor) -> None:
    with pytest.raises(InvalidInput, match=r"input_ids int64 \(1, 80\).*the model does not run in torch"):
        eager.run(texts(1, 80))


def test_a_closed_predictor_does_not_run(classifier: Path) -> None:
    with open_model(classifier, "text-classification", 1, "torch") as predictor:
        pass
    with pytest.raises(ValueError, match="closed"):
        predictor.run(texts(1, 3))


def test_a_compressed_folder_that_does_not_load_is_the_fault_of_its_stages(tmp_path: Path) -> None:
    headless = tiny_models.bert(tmp_path / "headless")
    with pytest.raises(
        BadRecipe, match=r"torch cannot load the compressed model: .*no weights for classifier"
    ) as refused:
        open_model(headless, "text-classification", 1, "torch", LAST_STAGE)
    assert (refused.value.reason, refused.value.field) == ("NotLoadable", "spec.pipeline[0].prune")
    with pytest.raises(InvalidInput) as source:
        open_model(headless, "text-classification", 1, "torch")
    assert source.value.reason == "TaskMismatch"


WITHOUT_COMPILER: Final = """
import numpy as np, torch
from compression_runner.errors import RunnerError
from compression_runner.inference.predictor import SOURCE_MODEL, ModelOrigin
from compression_runner.inference.torch_modules import TorchPredictor
class Sine(torch.nn.Module):
    def forward(self, values): return torch.sin(values) + 1
examples = [{"x": np.ones((size, 2), np.float32)} for size in (3, 2)]
for origin in (SOURCE_MODEL, ModelOrigin("spec.pipeline[0].prune", compressed=True)):
    try:
        TorchPredictor(Sine(), examples, ["y"], 1, "torch-compile", origin).run(examples[0])
    except RunnerError as error:
        print(type(error).__name__, error.reason, error)
"""


def test_a_compiler_that_fails_is_reported_in_one_line(tmp_path: Path) -> None:
    environment = os.environ | {"CXX": "/no/such/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "programs")}
    command = [sys.executable, "-c", WITHOUT_COMPILER]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=True)
    baseline, compressed = ended.stdout.splitlines()
    assert baseline.startswith("InvalidInput NotCompiling spec.benchmark.engine: 'torch-compile': torch.compile cannot")
    assert baseline.endswith("use the engine without compile")
    assert compressed.startswith("BadRecipe NotCompiling spec.pipeline[0].prune: 'torch-compile'")
    assert "cannot compile the compressed model" in compressed
