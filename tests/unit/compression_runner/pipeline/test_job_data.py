"""The data of a job: prepared once for models with equal inputs, and separate from the evaluation data."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from compression_runner.artifact import seal
from compression_runner.dataset import load_samples
from compression_runner.dataset.files import find_data
from compression_runner.dataset.preparation import identity
from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import TensorInfo
from compression_runner.pipeline import job_data
from compression_runner.pipeline.job_data import JobData
from compression_runner.training import model
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.graphs import lstm_step, random
from tests.support.plans import onnx_spec, open_store


def make(folder: Path, training: Path) -> JobData:
    evaluation = tiny_models.text_data(folder / "evaluation.parquet")
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": "file:///model", "task": "text-embedding"},
            "data": {
                "evaluation": {"source": f"file://{evaluation}"},
                "training": {"source": f"file://{training}"},
            },
            "pipeline": [{"recover": {}}],
            "benchmark": {"sequenceLength": 16},
            "output": {"destination": "file:///out"},
        }
    )
    stores = {"evaluation": open_store(evaluation), "training": open_store(training)}
    files = {role: find_data(store, "text-embedding", f"spec.data.{role}.source") for role, store in stores.items()}

    return JobData(spec, stores, files, folder / "scratch", none, none)  # type: ignore[arg-type]


def none() -> None:
    raise AssertionError("no stage asks for a model here")


def test_a_stages_result_reuses_the_prepared_data_of_its_input(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    source = seal(shutil.copytree(bert, tmp_path / "source"), "transformers", "text-embedding")
    saved = model.save(model.load(source), source, tmp_path / "saved")
    again = model.save(model.load(saved), saved, Path(shutil.copytree(saved.path, tmp_path / "again")))
    assert identity(again.path) == identity(saved.path)


def test_another_tokenizer_prepares_data_again(bert: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(bert, tmp_path / "other"))
    (other / "tokenizer.json").write_text((other / "tokenizer.json").read_text().replace('"cat"', '"cow"'))
    assert identity(other) != identity(bert)


def test_data_is_read_once_for_models_with_equal_inputs(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counted(*arguments: object, **more: object) -> object:
        read.append(more["role"])
        return load_samples(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(job_data, "load_samples", counted)
    data = make(tmp_path, tiny_models.text_data(tmp_path / "training.parquet", labels=[0] * 80, skip=60))
    copied = Path(shutil.copytree(bert, tmp_path / "copied"))
    assert len(data.samples("training", bert)) == 80
    assert data.samples("training", copied) is data.samples("training", bert)
    assert sorted(read) == ["evaluation", "training"]


def test_evaluation_data_is_refused_for_training(bert: Path, tmp_path: Path) -> None:
    data = make(tmp_path, tiny_models.text_data(tmp_path / "training.parquet", labels=[0] * 80))
    with pytest.raises(InvalidInput, match="60 of its samples are among the 60") as refused:
        data.samples("training", bert)
    assert refused.value.field == "spec.data.training.source"


def test_few_evaluation_samples_in_training_data_are_left_out(bert: Path, tmp_path: Path) -> None:
    data = make(tmp_path, tiny_models.text_data(tmp_path / "training.parquet", labels=[0] * 80, skip=58))
    assert len(data.samples("training", bert)) == 78


def test_the_inputs_of_a_graph_decide_how_its_data_is_batched(tmp_path: Path) -> None:
    rates = np.array([1.0, 2.0], np.float32)
    np.savez(tmp_path / "data.npz", x=np.zeros((3, 4, 2), np.float32), rates=rates)
    spec = onnx_spec()
    store = open_store(tmp_path / "data.npz")
    files = find_data(store, "onnx", "spec.data.evaluation.source")
    inputs = [
        TensorInfo("x", np.dtype(np.float32), (None, None, 2)),
        TensorInfo("rates", np.dtype(np.float32), (2,), axis=None),
    ]
    none: Any = None
    data = JobData(spec, {"evaluation": store}, {"evaluation": files}, tmp_path / "scratch", none, none, inputs)
    assert data.samples("evaluation", tmp_path).batch([0, 1], inputs)["x"].shape == (2, 4, 2)
    data.place_batch({"x": 1})
    feed = data.samples("evaluation", tmp_path).batch([0, 1], inputs)
    assert feed["x"].shape == (4, 2, 2)
    assert feed["rates"].tolist() == [1.0, 2.0]
    assert len(list(data.samples("evaluation", tmp_path).batches(inputs, 8))) == 1
    data.place_batch({"x": 1}, single=True)
    assert len(list(data.samples("evaluation", tmp_path).batches(inputs, 8))) == 3


def test_stages_see_single_steps_of_the_sequences_that_are_measured(tmp_path: Path) -> None:
    onnx.save(lstm_step(), tmp_path / "model.onnx")
    np.savez(tmp_path / "data.npz", x=random(4, 6, 3))
    spec = onnx_spec(
        model={
            "source": "file:///model.onnx",
            "task": "onnx",
            "state": [{"input": "h", "output": "hn"}, {"input": "c", "output": "cn"}],
        }
    )
    store = open_store(tmp_path / "data.npz")
    files = {"evaluation": find_data(store, "onnx", "spec.data.evaluation.source")}
    teacher = seal(tmp_path, "onnx", "onnx")
    data = JobData(spec, {"evaluation": store}, files, tmp_path / "scratch", lambda: teacher, none)  # type: ignore[arg-type]
    measured = data.sequences("evaluation", tmp_path)
    steps = data.samples("evaluation", tmp_path)
    assert (len(measured), measured.samples[0]["x"].shape) == (4, (6, 3))
    assert (len(steps), steps.samples[0]["x"].shape, sorted(steps.samples[0])) == (24, (3,), ["c", "h", "x"])
