"""The training loop, losses and students on tiny real models."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe, DiskFull, InvalidInput, room_on
from compression_runner.formats import surgery
from compression_runner.formats.factors import FactorizedLinear
from compression_runner.formats.surgery import Surgery
from compression_runner.training import model
from compression_runner.training.batches import Batch, TrainingBatches
from compression_runner.training.holdout import all_batches, split_holdout
from compression_runner.training.loop import TrainingCheckpoints, train
from compression_runner.training.losses import Distillation, label_loss, score
from compression_runner.training.student_initialization import derive, evenly_spaced_layers
from compression_runner.training.trainer import Trainer
from compressionjob.methods.distill import Distill, Student
from compressionjob.methods.factorize import Factorize
from compressionjob.methods.losses import Losses
from compressionjob.methods.prune import Prune
from compressionjob.methods.recover import Recover
from compressionjob.methods.training import Training
from tests.support import tiny_models
from tests.support.limits import largest_file
from tests.support.stage_data import CLASSES, labelled_tokens
from tests.support.stages import run_stage


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tiny_models.bert(tmp_path_factory.mktemp("models") / "classifier", labels=CLASSES)
    return seal(folder, "transformers", "text-classification")


def test_an_interrupted_run_ends_with_the_same_weights(classifier: Artifact, tmp_path: Path) -> None:
    settings = Training(epochs=4, batch_size=8, learning_rate=0.01, checkpoint_every=5)
    parameters = Distill(losses=Losses(output=0.0, labels=1.0), training=settings)
    whole = run_stage("distill", classifier, parameters, tmp_path / "whole")

    class Killed(Exception):
        pass

    keep = tmp_path / "keep"
    keep.mkdir()

    steps = whole.details["steps"]

    def kill(fraction: float) -> None:
        if round(fraction * steps) == 18:
            raise Killed

    with pytest.raises(Killed):
        run_stage("distill", classifier, parameters, tmp_path / "cut", checkpoint_dir=keep, advance=kill)
    assert list(keep.glob("state-*.pt"))
    resumed = run_stage("distill", classifier, parameters, tmp_path / "resumed", checkpoint_dir=keep)
    # The resumed run repeats fewer steps than lie between two checkpoints.
    assert resumed.details["resumedAtStep"] == 15
    assert resumed.artifact.digest == whole.artifact.digest


def test_a_damaged_checkpoint_is_ignored(classifier: Artifact, tmp_path: Path) -> None:
    (tmp_path / "state-000000005.pt").write_bytes(b"cut off")
    learner = model.load(classifier)
    batches = TrainingBatches(labelled_tokens(), learner.interface.inputs, 8, seed=0)
    distillation = Distillation(learner, None, Losses(output=0.0, labels=1.0), batches.of_rows([0]))
    trained = train(distillation, batches, distillation.loss, Training(max_steps=2), TrainingCheckpoints(tmp_path))
    assert (trained.steps, trained.resumed_at) == (2, 0)


def test_a_full_disk_raises_an_os_error(classifier: Artifact, tmp_path: Path) -> None:
    learner = model.load(classifier)
    batches = TrainingBatches(labelled_tokens(), learner.interface.inputs, 8, seed=0)
    distillation = Distillation(learner, None, Losses(output=0.0, labels=1.0), batches.of_rows([0]))
    settings = Training(max_steps=4, checkpoint_every=2)
    with largest_file(20_000), pytest.raises(OSError, match="File too large") as full:
        train(distillation, batches, distillation.loss, settings, TrainingCheckpoints(tmp_path))
    assert full.value.errno == errno.EFBIG


def test_saving_weights_to_a_full_disk_raises_disk_full(classifier: Artifact, tmp_path: Path) -> None:
    trainable = model.load(classifier)
    trainable.changes = Surgery()
    with (
        largest_file(20_000),
        pytest.raises(DiskFull, match="no space left"),
        room_on(tmp_path, "workdir", "free some"),
    ):
        model.save(trainable, classifier, tmp_path)


def test_training_raises_the_score(classifier: Artifact, tmp_path: Path) -> None:
    settings = Training(epochs=12, batch_size=8, learning_rate=0.01)
    outcome = run_stage(
        "recover", classifier, Recover(method="labels", training=settings), tmp_path / "out", data=labelled_tokens(120)
    )
    held = outcome.details["heldBack"]
    assert held["kept"]
    assert held["after"] > max(0.8, held["before"])


@pytest.mark.parametrize("make", [tiny_models.bert, tiny_models.resnet])
def test_bfloat16_training_works_and_weights_stay_float32(make: Callable[..., Path], tmp_path: Path) -> None:
    """Use every loss, on tokens and on images; convolutions of images have channels last in training."""
    is_text = make is tiny_models.bert
    source = make(tmp_path / "model", labels=CLASSES) if is_text else make(tmp_path / "model")
    artifact = seal(source, "transformers", "text-classification" if is_text else "image-classification")
    images = [{"pixel_values": np.full((1, 16, 16), label, np.float32)} for label in (0, 1, 2)] * 20
    data = labelled_tokens(60) if is_text else SampleSet(images, "sha256:0", labels=np.array([0, 1, 2] * 20))
    losses = Losses(output=1.0, labels=1.0, hidden=0.1, attention=0.1 if is_text else 0.0)
    settings = Training(epochs=8, batch_size=8, learning_rate=0.01, precision="bfloat16")
    outcome = run_stage("distill", artifact, Distill(losses=losses, training=settings), tmp_path / "out", data=data)
    held = outcome.details["heldBack"]
    assert held["after"] > max(0.6, held["before"])
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in written.values() if tensor.is_floating_point()} == {torch.float32}
    again = model.load(outcome.artifact)
    assert all(parameter.is_contiguous() for parameter in again.module.parameters())


def test_training_that_does_not_help_is_discarded(classifier: Artifact, tmp_path: Path) -> None:
    """The baseline already agrees with itself, so training cannot improve it."""
    data = SampleSet(samples=labelled_tokens().samples, digest="sha256:0", padding=labelled_tokens().padding)
    settings = Training(epochs=1, batch_size=8, learning_rate=0.05)
    outcome = run_stage("recover", classifier, Recover(training=settings), tmp_path / "out", data=data)
    assert not outcome.details["heldBack"]["kept"]
    before, after = load_file(classifier.path / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_lower_loss_is_kept_at_an_equal_score(classifier: Artifact, tmp_path: Path) -> None:
    """A pruned model answers training data of the baseline well without recovery; only the loss shows the damage."""
    data, settings = labelled_tokens(120), Training(epochs=12, batch_size=8, learning_rate=0.01)
    by_labels = Recover(method="labels", training=settings)
    knows = run_stage("recover", classifier, by_labels, tmp_path / "knows", data=data).artifact
    pruned = run_stage("prune", knows, Prune(sparsity=0.8), tmp_path / "pruned").artifact
    settings = Training(epochs=4, batch_size=8, learning_rate=0.001)
    outcome = run_stage("recover", pruned, Recover(training=settings), tmp_path / "out", teacher=knows, data=data)
    held = outcome.details["heldBack"]
    assert held["before"] == held["after"] == 1.0
    assert held["loss"]["after"] < held["loss"]["before"]
    assert held["kept"]


def test_recovery_skips_training_within_max_drop(classifier: Artifact, tmp_path: Path) -> None:
    outcome = run_stage("recover", classifier, Recover(max_drop=0.5), tmp_path / "out")
    assert outcome.details["heldBack"]["steps"] == 0


def test_several_labels_have_a_loss_and_a_score_per_label(classifier: Artifact) -> None:
    answers = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    labels = torch.tensor([[1, 0], [0, 1]])
    expected = torch.nn.functional.binary_cross_entropy(torch.sigmoid(answers), labels.float())
    assert label_loss("text-classification", answers, labels) == pytest.approx(float(expected))
    several = model.load(classifier)
    data = labelled_tokens()
    sets = np.eye(CLASSES, dtype=np.int64)[np.asarray(data.labels)]
    (batch,) = all_batches(replace(data.only(range(8)), labels=sets[:8]), several.interface.inputs)
    result = score(several, None, [batch])
    right = (several.outputs(batch.inputs)[0] > 0) == batch.labels.bool()  # type: ignore[union-attr]
    assert result.metric == "accuracy"
    assert result.value == pytest.approx(float(right.float().mean()))


def test_regressions_are_scored_by_correlation(tmp_path: Path) -> None:
    ranker = model.load(seal(tiny_models.bert(tmp_path / "ranker", labels=1), "transformers", "text-regression"))
    data = labelled_tokens().only(range(8))
    (batch,) = all_batches(data, ranker.interface.inputs)
    assert score(ranker, ranker, [batch]).value == pytest.approx(1.0)
    answers = ranker.outputs(batch.inputs)[0].detach().flatten()
    opposite = score(ranker, None, [Batch(batch.inputs, -answers)])
    assert (opposite.metric, opposite.value) == ("correlation", 0.0)
    expected = float(torch.corrcoef(torch.stack([answers, batch.labels.float()]))[0, 1])  # type: ignore[union-attr]
    assert score(ranker, None, [batch]).value == pytest.approx(max(0.0, expected), abs=1e-4)


def test_zeros_stay_zero(classifier: Artifact, tmp_path: Path) -> None:
    pruned = run_stage("prune", classifier, Prune(sparsity=0.5), tmp_path / "pruned").artifact
    settings = Training(epochs=6, batch_size=8, learning_rate=0.01)
    parameters = Recover(method="labels", training=settings)
    outcome = run_stage("recover", pruned, parameters, tmp_path / "out", teacher=classifier, data=labelled_tokens(120))
    before = load_file(pruned.path / "model.safetensors")
    after = load_file(outcome.artifact.path / "model.safetensors")
    assert outcome.details["heldBack"]["kept"]
    changed = 0
    for name, tensor in before.items():
        if tensor.dim() >= 2:
            assert (after[name][tensor == 0] == 0).all(), name
            changed += int((after[name] != tensor).sum())
    assert changed > 0


def test_label_losses_refuse_unlabelled_data(classifier: Artifact, tmp_path: Path) -> None:
    data = SampleSet(samples=labelled_tokens().samples, digest="sha256:0", padding=labelled_tokens().padding)
    with pytest.raises(BadRecipe, match="no labels"):
        run_stage("distill", classifier, Distill(losses=Losses(labels=1.0)), tmp_path / "out", data=data)


def test_a_diverging_training_names_the_learning_rate(classifier: Artifact, tmp_path: Path) -> None:
    settings = Training(epochs=20, batch_size=8, learning_rate=9e11)
    with pytest.raises(BadRecipe, match="learningRate"):
        run_stage("distill", classifier, Distill(training=settings), tmp_path / "out")


@pytest.mark.parametrize(
    ("count", "requested", "kept"), [(6, 3, [0, 2, 5]), (6, 2, [0, 5]), (6, 1, [5]), (3, 3, [0, 1, 2])]
)
def test_kept_layers_are_evenly_spaced(count: int, requested: int, kept: list[int]) -> None:
    assert evenly_spaced_layers(count, requested) == kept


def test_a_narrower_student_has_weights_of_the_teacher(classifier: Artifact) -> None:
    teacher = model.load(classifier)
    student = derive(teacher, Student(layers=1, hidden_size=16, intermediate_size=24), "student")
    config = student.inner.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (1, 16, 1)
    old = teacher.inner.state_dict()["bert.encoder.layer.1.intermediate.dense.weight"]
    new = student.inner.state_dict()["bert.encoder.layer.0.intermediate.dense.weight"]
    assert new.shape == (24, 16)
    assert {round(float(value), 6) for value in new.flatten()} <= {round(float(value), 6) for value in old.flatten()}
    assert student.outputs((torch.ones(1, 4, dtype=torch.int64),) * 3)[0].shape == (1, CLASSES)


def test_a_student_of_equal_size_equals_its_teacher(classifier: Artifact) -> None:
    teacher = model.load(classifier)
    student = derive(teacher, Student(layers=2, hidden_size=32, intermediate_size=64), "student")
    for name, tensor in teacher.inner.state_dict().items():
        assert torch.equal(tensor, student.inner.state_dict()[name]), name


@pytest.mark.parametrize(
    ("requested", "message"),
    [(Student(layers=3), "its teacher has 2"), (Student(hidden_size=24), "make 16")],
)
def test_an_impossible_student_is_refused(classifier: Artifact, requested: Student, message: str) -> None:
    with pytest.raises(BadRecipe, match=message):
        derive(model.load(classifier), requested, "student")


def test_all_parameters_of_a_narrower_student_have_gradients(classifier: Artifact) -> None:
    teacher = model.load(classifier).freeze()
    student = derive(model.load(classifier), Student(hidden_size=16), "student")
    losses = Losses(output=1.0, hidden=1.0, attention=1.0, labels=1.0)
    batches = TrainingBatches(labelled_tokens(), student.interface.inputs, 8, seed=0)
    distillation = Distillation(student, teacher, losses, batches.of_rows([0, 1]))
    distillation.loss(batches.of_step(0)).backward()
    without = [name for name, value in distillation.named_parameters() if value.grad is None and "pooler" not in name]
    assert without == []


def test_a_changed_model_round_trips_and_exports(classifier: Artifact, tmp_path: Path) -> None:
    trainable = model.load(classifier)
    name = "bert.encoder.layer.0.intermediate.dense"
    dense = trainable.inner.get_submodule(name)
    assert isinstance(dense, torch.nn.Linear)
    factors = FactorizedLinear(dense.in_features, 4, dense.out_features, bias=True)
    surgery.replace(trainable.inner, name, factors)
    trainable.changes = Surgery().with_modules({name: {"kind": "factorized-linear", "rank": 4}})
    (tmp_path / "torch").mkdir()
    kept = model.save(trainable, classifier, tmp_path / "torch")
    assert kept.format == "torch"
    again = model.load(kept)
    inputs = (
        torch.arange(5, 13).reshape(2, 4),
        torch.ones(2, 4, dtype=torch.int64),
        torch.zeros(2, 4, dtype=torch.int64),
    )
    with torch.no_grad():
        assert torch.equal(again.outputs(inputs)[0], trainable.module.train(False)(*inputs))
    exported = run_stage("export", kept, None, tmp_path / "onnx").artifact
    assert not (exported.path / "surgery.json").exists()


def test_loading_restores_narrower_layers_from_tensors(tmp_path: Path) -> None:
    folder = tiny_models.resnet(tmp_path / "resnet")
    artifact = seal(folder, "transformers", "image-classification")
    trainable = model.load(artifact)
    stem = trainable.inner.get_submodule("resnet.embedder.embedder")
    encoder = trainable.inner.get_submodule("resnet.encoder.stages.0.layers.0")
    assert stem is not None
    assert encoder is not None
    first, second = (encoder.get_submodule(f"layer.{index}") for index in (0, 1))
    first.convolution.weight = torch.nn.Parameter(first.convolution.weight[:5].clone())  # type: ignore[operator, index, union-attr]
    for key in ("weight", "bias"):
        setattr(first.normalization, key, torch.nn.Parameter(getattr(first.normalization, key)[:5].clone()))
    for key in ("running_mean", "running_var"):
        setattr(first.normalization, key, getattr(first.normalization, key)[:5].clone())
    second.convolution.weight = torch.nn.Parameter(second.convolution.weight[:, :5].clone())  # type: ignore[operator, index, union-attr]
    for module in (first.convolution, first.normalization, second.convolution):
        surgery.adjust(module)  # type: ignore[arg-type]
    trainable.changes = Surgery()
    (tmp_path / "torch").mkdir()
    again = model.load(model.save(trainable, artifact, tmp_path / "torch"))
    pixels = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert torch.equal(again.outputs((pixels,))[0], trainable.module.train(False)(pixels))


def test_held_out_samples_are_not_trained_on() -> None:
    learned, held = split_holdout(labelled_tokens(50))
    assert (len(learned), len(held)) == (45, 5)
    ids = [sample["input_ids"].tobytes() for sample in learned.samples]
    assert not [sample for sample in held.samples if sample["input_ids"].tobytes() in ids]


def test_batches_depend_on_seed_and_step_alone() -> None:
    first, second = (TrainingBatches(labelled_tokens(), ("input_ids", "attention_mask"), 8, seed=3) for _ in range(2))
    assert torch.equal(first.of_step(11).inputs[0], second.of_step(11).inputs[0])
    other = TrainingBatches(labelled_tokens(), ("input_ids", "attention_mask"), 8, seed=4)
    assert not torch.equal(first.of_step(0).labels, other.of_step(0).labels)  # type: ignore[arg-type]


def test_a_single_input_takes_the_name_in_the_model() -> None:
    videos = [{"pixel_values": np.full((2, 1, 4, 4), index, np.float32)} for index in range(8)]
    batches = TrainingBatches(SampleSet(videos, "sha256:0", unnamed=True), ("pixel_values_videos",), 4, seed=1)
    assert batches.of_rows([5]).inputs[0].unique().tolist() == [5.0]
    with pytest.raises(InvalidInput, match="needs the input pixel_values_videos"):
        TrainingBatches(SampleSet(videos, "sha256:0"), ("pixel_values_videos",), 4, seed=1)


def test_augmentation_keeps_shapes_and_varies_by_step() -> None:
    images = [{"pixel_values": np.eye(8, dtype=np.float32)[None] + index} for index in range(16)]
    batches = TrainingBatches(SampleSet(images, "sha256:0"), ("pixel_values",), 16, seed=1, augment=["shift", "flip"])
    moved = batches.of_step(0).inputs[0]
    assert moved.shape == (16, 1, 8, 8)
    assert not torch.equal(moved, batches.of_step(1).inputs[0])


def test_a_named_student_learns_from_a_named_teacher(classifier: Artifact, tmp_path: Path) -> None:
    small = tiny_models.bert(tmp_path / "small", labels=CLASSES, hidden=16)
    large = tiny_models.bert(tmp_path / "large", labels=CLASSES, hidden=64)
    parameters = Distill(
        student_source=f"file://{small}",
        teacher_source=f"file://{large}",
        losses=Losses(output=1.0, hidden=1.0),
        training=Training(max_steps=3, batch_size=8),
    )
    outcome = run_stage("distill", classifier, parameters, tmp_path / "out")
    assert outcome.artifact.format == "transformers"
    assert model.load(outcome.artifact).inner.config.hidden_size == 16  # type: ignore[union-attr]


def test_a_teacher_with_other_classes_is_refused(classifier: Artifact, tmp_path: Path) -> None:
    other = tiny_models.bert(tmp_path / "other", labels=CLASSES + 1)
    with pytest.raises(BadRecipe, match=r"the student answers in \(3,\), the teacher in \(4,\)"):
        run_stage("distill", classifier, Distill(teacher_source=f"file://{other}"), tmp_path / "out")


def test_a_teacher_with_another_tokenizer_is_refused(classifier: Artifact, tmp_path: Path) -> None:
    other = tiny_models.bert(tmp_path / "other", labels=CLASSES)
    (other / "tokenizer.json").write_text((other / "tokenizer.json").read_text().replace("cat", "cow"))
    with pytest.raises(BadRecipe, match=r"different tokenizer\.json"):
        run_stage("distill", classifier, Distill(teacher_source=f"file://{other}"), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("prune", Prune(method="wanda", sparsity=0.5)),
        ("prune", Prune(method="structured", structure="neurons", sparsity=0.5)),
        ("factorize", Factorize(rank=4)),
        ("recover", Recover(training=Training(max_steps=2))),
        ("distill", Distill(student=Student(layers=1), training=Training(max_steps=2))),
    ],
)
def test_a_model_in_16_bits_stays_in_16_bits(tmp_path: Path, name: str, parameters: Any) -> None:
    folder = tiny_models.bert(tmp_path / "bert", labels=CLASSES, dtype=torch.bfloat16)
    source = seal(folder, "transformers", "text-classification")
    result = run_stage(name, source, parameters, tmp_path / "out").artifact
    tensors = load_file(result.path / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert result.size_bytes <= 1.02 * source.size_bytes
    assert {parameter.dtype for parameter in model.load(result).module.parameters()} == {torch.float32}


def test_the_reported_loss_is_that_of_the_saved_16_bit_model(tmp_path: Path) -> None:
    folder = tiny_models.bert(tmp_path / "bert", labels=CLASSES, dtype=torch.bfloat16)
    teacher = seal(folder, "transformers", "text-classification")
    pruned = run_stage("prune", teacher, Prune(sparsity=0.5), tmp_path / "pruned").artifact
    training = Training(epochs=2, batch_size=8, learning_rate=0.0005)
    outcome = run_stage("recover", pruned, Recover(training=training), tmp_path / "out", teacher=teacher)
    kept, whole = model.load(outcome.artifact), model.load(teacher).freeze()
    loss = Trainer(kept, whole, labelled_tokens(), training).loss(Losses(temperature=1.0))
    assert loss == pytest.approx(outcome.details["heldBack"]["loss"]["after"], rel=1e-3)


def test_numbers_beyond_16_bits_are_refused(classifier: Artifact) -> None:
    trainable = model.load(classifier)
    trainable.stored = torch.float16
    with torch.no_grad():
        next(iter(trainable.module.parameters()))[0, 0] = 70000.0
    with pytest.raises(
        BadRecipe, match=r"'float16': it is the type of the source, and .*word_embeddings.weight now has a number"
    ):
        trainable.round_to_stored()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("prune", Prune(pattern="2:4", sparsity=0.5)), ("factorize", Factorize(rank=4)), ("distill", Distill())],
)
def test_a_missing_pooler_stays_missing(tmp_path: Path, name: str, parameters: Any) -> None:
    folder = tiny_models.bert(tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    without = {key: tensor for key, tensor in tensors.items() if not key.startswith("pooler")}
    assert len(without) < len(tensors)
    save_file(without, folder / "model.safetensors", metadata={"format": "pt"})
    source = seal(folder, "transformers", "text-embedding")
    if isinstance(parameters, Distill):
        parameters = Distill(student=Student(layers=1), training=Training(max_steps=1))
    first, second = (run_stage(name, source, parameters, tmp_path / folder).artifact for folder in ("first", "second"))
    assert first.digest == second.digest
    assert not [key for key in load_file(first.path / "model.safetensors") if "pooler" in key]
    model.load(first)
