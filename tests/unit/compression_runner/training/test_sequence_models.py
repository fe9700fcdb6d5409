"""Losses and scores of models with an output at every position, without padding."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.dataset.generation import DECODER
from compression_runner.errors import BadRecipe
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compression_runner.training import model, positions
from compression_runner.training.batches import TrainingBatches
from compression_runner.training.holdout import all_batches
from compression_runner.training.losses import Distillation, output_loss, score
from compression_runner.training.positions import POSITIONS, counted, next_token_loss, slices
from compression_runner.training.student_initialization import derive
from compression_runner.training.trainer import Trainer
from compressionjob.methods.distill import Distill, Student
from compressionjob.methods.losses import Losses
from compressionjob.methods.prune import Prune
from compressionjob.methods.recover import Recover
from compressionjob.methods.training import Training
from compressionjob.tasks import Task
from tests.support import tiny_models
from tests.support.stage_data import FakeStageData
from tests.support.stages import apply_method

MODELS: dict[Task, Callable[[Path], Path]] = {
    "text-generation": tiny_models.llama,
    "summarization": tiny_models.summarizer,
    "automatic-speech-recognition": tiny_models.transcriber,
}


def sequences(count: int = 40, *, decoder: bool = False) -> SampleSet:
    """Return learnable token sequences: each token is the previous one plus a constant step."""
    random = np.random.default_rng(5)
    samples = []
    for _ in range(count):
        length, start, step = int(random.integers(4, 12)), int(random.integers(3, 10)), int(random.integers(1, 3))
        tokens = start + step * np.arange(length, dtype=np.int64)
        sample = {"input_ids": tokens, "attention_mask": np.ones(length, np.int64)}
        samples.append(sample | ({DECODER: np.concatenate([[0], tokens[: length // 2]])} if decoder else {}))
    padding = {"input_ids": 0, "attention_mask": 0} | ({DECODER: 0} if decoder else {})
    return SampleSet(samples=samples, digest="sha256:0", padding=padding)


def recordings(name: str, count: int = 6) -> SampleSet:
    random = np.random.default_rng(6)
    samples = [{name: random.normal(size=1600).astype(np.float32)} for _ in range(count)]
    return SampleSet(samples=samples, digest="sha256:0", free=frozenset({name}))


def data_for(task: Task, learner: model.Trainable) -> SampleSet:
    if task == "automatic-speech-recognition":
        return recordings(learner.interface.inputs[0])
    return sequences(decoder=task == "summarization")


@pytest.fixture
def generator(tmp_path: Path) -> Artifact:
    return seal(tiny_models.llama(tmp_path / "llama"), "transformers", "text-generation")


def stage(name: str, artifact: Artifact, teacher: Artifact, parameters: Any, into: Path) -> Any:
    into.mkdir()
    context = StageContext(into, f"spec.pipeline[0].{name}", data=FakeStageData(sequences(160), teacher=teacher))
    return apply_method(name, artifact, parameters, context)


@pytest.mark.parametrize("task", MODELS)
def test_a_model_agrees_with_itself_without_loss(tmp_path: Path, task: Task) -> None:
    artifact = seal(MODELS[task](tmp_path / "model"), "transformers", task)
    student, teacher = model.load(artifact), model.load(artifact).freeze()
    batches = all_batches(data_for(task, student), student.interface.inputs, 4)
    assert score(student, teacher, batches).value == 1.0
    assert float(Distillation(student, teacher, Losses(), batches[0]).loss(batches[0]).detach()) < 1e-5


def test_loss_and_score_ignore_padding(generator: Artifact, tmp_path: Path) -> None:
    student, teacher = model.load(generator), model.load(generator).freeze()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in student.module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    data = sequences(7)
    losses = Losses(labels=0.5, temperature=2.0)
    together = all_batches(data, student.interface.inputs)
    singles = all_batches(data, student.interface.inputs, 1)
    assert len(singles) == 7
    assert score(student, teacher, together) == score(student, teacher, singles)
    divergences, nexts = [], []
    for batch in singles:
        mine, theirs = (one.outputs(batch.inputs)[0].detach()[0] for one in (student, teacher))
        divergences += [
            output_loss("text-generation", a[None], b[None], 2.0) for a, b in zip(mine, theirs, strict=True)
        ]
        nexts += list(torch.nn.functional.cross_entropy(mine[:-1], batch.inputs[0][0, 1:], reduction="none"))
    expected = torch.stack(divergences).mean() + 0.5 * torch.stack(nexts).mean()
    loss = Distillation(student, teacher, losses, together[0]).loss(together[0]).detach()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_padding_of_a_decoder_does_not_count() -> None:
    tokens = torch.tensor([[2, 5, 2, 6, 2, 2], [2, 2, 2, 2, 2, 2]])
    mask = counted([tokens], [DECODER], torch.zeros(2, 6, 9))
    assert mask.tolist() == [[True, True, True, True, False, False], [True, False, False, False, False, False]]


def test_next_token_loss_ignores_padding() -> None:
    logits, tokens = torch.zeros(1, 3, 4), torch.tensor([[1, 2, 0]])
    logits[0, 1, 3] = 100.0
    sure = next_token_loss(logits, tokens, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(sure, torch.tensor(4.0).log())


@pytest.mark.parametrize("method", ["distillation", "labels"])
def test_a_pruned_language_model_recovers(generator: Artifact, tmp_path: Path, method: str) -> None:
    pruned = stage("prune", generator, generator, Prune.model_validate({"sparsity": "0.7"}), tmp_path / "pruned")
    training = Training(epochs=4, batch_size=16, learning_rate=0.005)
    parameters = Recover(method=method, training=training)  # type: ignore[arg-type]
    outcome = stage("recover", pruned.artifact, generator, parameters, tmp_path / "recovered")
    held = outcome.details["heldBack"]
    assert held["kept"]
    assert held["loss"]["after"] < 0.9 * held["loss"]["before"]
    assert 0 <= held["before"] <= 1
    assert 0 <= held["after"] <= 1
    # The output layer is the table of embeddings, which counts once.
    assert outcome.details["sparsity"] == pytest.approx(0.7, abs=0.03)


def test_held_out_texts_come_in_small_batches(generator: Artifact) -> None:
    long = np.ones(POSITIONS // 2, np.int64)
    samples = [{"input_ids": long, "attention_mask": long} for _ in range(40)]
    data = SampleSet(samples=samples, digest="sha256:0", padding={"input_ids": 0, "attention_mask": 0})
    trainer = Trainer(model.load(generator), None, data, Training())
    assert {batch.inputs[0].shape for batch in trainer.held_out} == {(2, POSITIONS // 2)}


def test_batches_match_the_interface(generator: Artifact) -> None:
    learner = model.load(generator)
    batch = TrainingBatches(sequences(), learner.interface.inputs, 4, seed=0).of_step(0)
    assert learner.outputs(batch.inputs)[0].shape[:2] == batch.inputs[0].shape


def test_grouped_query_models_lose_layers_and_neurons(generator: Artifact, tmp_path: Path) -> None:
    parameters = Prune.model_validate({"method": "structured", "structure": "layers", "sparsity": "0.5"})
    outcome = stage("prune", generator, generator, parameters, tmp_path / "pruned")
    assert outcome.artifact.format == "transformers"
    assert model.load(outcome.artifact).inner.config.num_hidden_layers == 1  # type: ignore[union-attr]
    teacher = model.load(generator)
    student = derive(teacher, Student(layers=1, intermediate_size=32), "student")
    batch = TrainingBatches(sequences(), student.interface.inputs, 4, seed=0).of_step(0)
    assert student.outputs(batch.inputs)[0].shape == teacher.outputs(batch.inputs)[0].shape
    name = "model.layers.{}.self_attn.k_proj.weight"
    before, after = teacher.inner.state_dict()[name.format(1)], student.inner.state_dict()[name.format(0)]
    assert torch.equal(before, after)


@pytest.mark.parametrize("wanted", [Student(hidden_size=16), Student(attention_heads=2)])
def test_grouped_query_models_keep_their_heads(generator: Artifact, wanted: Student) -> None:
    with pytest.raises(
        BadRecipe, match=r"its heads share keys and values \(grouped-query.*leave hiddenSize and attentionHeads out"
    ):
        derive(model.load(generator), wanted, "student")


def test_settings_per_layer_follow_the_kept_layers(generator: Artifact) -> None:
    teacher = model.load(generator)
    teacher.inner.config.no_rope_layers = [1, 0]  # type: ignore[union-attr]
    student = derive(teacher, Student(layers=1), "student")
    assert student.inner.config.no_rope_layers == [0]  # type: ignore[union-attr]


def test_slices_accumulate_the_gradient_of_the_whole_batch(
    generator: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, teacher = model.load(generator), model.load(generator).freeze()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in student.module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    names = student.interface.inputs
    batch = TrainingBatches(sequences(12), names, 12, seed=0).of_rows(range(12))
    distillation = Distillation(student, teacher, Losses(), batch)
    gradients = []
    for most in (10**6, 25):
        monkeypatch.setattr(positions, "POSITIONS", most)
        parts = slices(batch, names, "text-generation")
        student.module.zero_grad()
        for part, share in parts:
            (distillation.loss(part) * share).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in student.module.parameters() if p.grad is not None]))
    assert len(parts) > 3
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)


def test_losses_on_states_refuse_an_encoder_with_a_decoder(tmp_path: Path) -> None:
    source = seal(tiny_models.summarizer(tmp_path / "summarizer", layers=2), "transformers", "summarization")
    data = FakeStageData(sequences(decoder=True), teacher=source)
    cases: list[tuple[str, Any, str]] = [
        ("distill", Distill(losses=Losses(hidden=1.0), training=Training(max_steps=1)), "losses.hidden"),
        ("distill", Distill(losses=Losses(attention=1.0), training=Training(max_steps=1)), "losses.attention"),
        ("prune", Prune.model_validate({"method": "structured", "structure": "layers", "sparsity": "0.5"}), ""),
    ]
    for number, (name, parameters, field) in enumerate(cases):
        into = tmp_path / str(number)
        into.mkdir()
        with pytest.raises(BadRecipe, match="an encoder and a decoder") as refused:
            apply_method(name, source, parameters, StageContext(into, f"spec.pipeline[0].{name}", data=data))
        assert refused.value.field.endswith(field)


def test_missing_references_have_no_label_column_to_name(tmp_path: Path) -> None:
    source = seal(tiny_models.summarizer(tmp_path / "summarizer"), "transformers", "summarization")
    (tmp_path / "out").mkdir()
    context = StageContext(
        tmp_path / "out", "spec.pipeline[0].recover", data=FakeStageData(sequences(decoder=True), teacher=source)
    )
    with pytest.raises(BadRecipe) as refused:
        METHODS["recover", ""].run(source, Recover(method="labels"), context)
    assert refused.value.remedy == "use method distillation"
