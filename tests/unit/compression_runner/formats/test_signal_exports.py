"""Graphs of audio and video models have the outputs and the free axes of the models."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import InvalidInput
from compression_runner.formats.export import export
from compression_runner.formats.probes import probes
from compression_runner.formats.source.transformers_config import check_task
from compression_runner.formats.task_module import wrap
from compression_runner.formats.transformers_model import load_model
from compression_runner.inference.onnx_session import open_session
from compressionjob.spec import Task
from tests.support import tiny_models

MODELS: dict[str, tuple[Task, Callable[[Path], Path], tuple[int | None, ...]]] = {
    "spectrograms": ("audio-classification", tiny_models.spectrogram_classifier, (48, 16)),
    "waveforms": ("audio-classification", tiny_models.waveform_classifier, (None,)),
    "videos": ("video-classification", tiny_models.video_classifier, (4, 3, 16, 16)),
}


@pytest.fixture(params=MODELS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Artifact, tuple[int | None, ...], Path]:
    task, make, shape = MODELS[request.param]
    return seal(make(tmp_path / "source"), "transformers", task), shape, tmp_path / "out"


def test_graphs_have_the_outputs_and_axes_of_the_model(case: tuple[Artifact, tuple[int | None, ...], Path]) -> None:
    source, shape, out = case
    out.mkdir()
    comparison = export(source, out)
    assert comparison.max_abs_difference < comparison.limit
    (declared,) = onnx.load(out / "model.onnx").graph.input
    dims = [dim.dim_value or None for dim in declared.type.tensor_type.shape.dim]
    assert tuple(dims) == (None, *shape)
    # A batch and a length unlike those of the probes.
    size = tuple(5000 if dim is None else dim for dim in shape)
    values = np.random.default_rng(5).normal(size=(5, *size)).astype(np.float32)
    got = open_session(out / "model.onnx").run(["logits"], {declared.name: values})[0]
    with torch.no_grad():
        expected = load_model(source.path, source.task)(torch.from_numpy(values)).logits.numpy()
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_probes_are_distinct_and_have_the_models_shape(
    case: tuple[Artifact, tuple[int | None, ...], Path],
) -> None:
    source, shape, _ = case
    model = load_model(source.path, source.task)
    _, interface = wrap(model, source.path, source.task)
    inputs = [tensors[0] for tensors in probes(model, source.path, interface)]
    assert len({tuple(tensor.shape) for tensor in inputs}) == len(inputs)
    for tensor in inputs:
        fits = zip(tensor.shape[1:], shape, strict=True)
        assert all(want is None or have == want for have, want in fits)


@pytest.mark.parametrize("task", ["tabular-classification", "tabular-regression", "onnx"])
def test_a_transformers_model_is_refused_for_tasks_of_tables(task: Task) -> None:
    config = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
    with pytest.raises(InvalidInput, match=r"spec\.model\.task.*BertForSequenceClassification.*name an ONNX model"):
        check_task(config, task, ["config.json"])


def test_an_image_model_is_refused_for_videos() -> None:
    config = {"model_type": "resnet", "architectures": ["ResNetForImageClassification"]}
    with pytest.raises(InvalidInput, match=r"needs \*ForVideoClassification"):
        check_task(config, "video-classification", ["config.json"])
