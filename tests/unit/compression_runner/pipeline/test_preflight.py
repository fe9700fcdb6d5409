"""Preflight by headers alone, and its refusals."""

import contextlib
import json
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from compression_runner.artifact import seal
from compression_runner.errors import DiskFull, InvalidInput
from compression_runner.formats.source.inspection import Source, inspect
from compression_runner.pipeline.resources import (
    MemoryForecast,
    check_disk,
    check_memory,
    memory_limit,
)
from compression_runner.storage import Entry
from compressionjob.spec import Model, Task
from tests.support import tiny_models
from tests.support.graphs import conditional, constant_graph, graph, looped
from tests.support.plans import open_store


def look(place: Path, task: Task = "text-embedding") -> Source:
    return inspect(open_store(place), Model(source=f"file://{place}", task=task))


class Counting:
    """A store that counts the bytes that are read from it."""

    def __init__(self, place: Path) -> None:
        self._store = open_store(place)
        self.read_bytes = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes:
        content = self._store.read(path, start, length)
        self.read_bytes += len(content)
        return content


def test_a_transformers_directory_is_inspected_by_its_headers(bert: Path) -> None:
    source = look(bert)
    assert source.format == "transformers"
    assert source.architecture == "BertModel"
    assert source.weights == {"model.safetensors"}
    assert source.parameters == sum(t.numel() for t in torch_weights(bert).values())


def torch_weights(place: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(place / "model.safetensors")


def test_weights_are_not_read(tmp_path: Path) -> None:
    place = tiny_models.perceptron(tmp_path / "wide", width=2048)
    store = Counting(place)
    source = inspect(store, Model(source=f"file://{place}", task="onnx"))  # type: ignore[arg-type]
    assert source.parameters == 2048 * 2048 + 2048 * 4
    assert source.weights_bytes > 16_000_000
    assert store.read_bytes < 300_000


def truncate(place: Path) -> None:
    file = place / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def lengthen(place: Path) -> None:
    file = place / "model.safetensors"
    file.write_bytes(file.read_bytes() + b"rest")


def overlap(place: Path) -> None:
    header = {
        "a.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b.weight": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
    }
    text = json.dumps(header).encode()
    (place / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(12))


def huge_header(place: Path) -> None:
    (place / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")


def pickle_only(place: Path) -> None:
    (place / "model.safetensors").rename(place / "pytorch_model.bin")


def remote_code(place: Path) -> None:
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "modeling.Evil"}}))


def no_tokenizer(place: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (place / name).unlink(missing_ok=True)


def missing_shard(place: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))
    (place / "model.safetensors").rename(place / "model-00001-of-00002.safetensors")


def escaping_link(place: Path) -> None:
    (place / "secret.json").symlink_to("/etc/hostname")


def bad_config(place: Path) -> None:
    (place / "config.json").write_text("{not json")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncate, "truncated"),
        (lengthen, "its tensors end at byte"),
        (overlap, "begins at 4 instead of 8"),
        (huge_header, "does not begin with a safetensors header"),
        (pickle_only, "a pickle, which can run code"),
        (remote_code, "needs its own code"),
        (no_tokenizer, "upload the tokenizer"),
        (missing_shard, "00002-of-00002"),
        (escaping_link, "leads out of the location"),
        (bad_config, "not JSON"),
    ],
)
def test_a_damaged_transformers_directory_is_refused(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    place = tiny_models.bert(tmp_path / "model")
    spoil(place)
    with pytest.raises(InvalidInput, match=message) as caught:
        look(place)
    assert caught.value.field.startswith("spec.model")
    assert caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("task", ["text-classification", "image-classification", "onnx"])
def test_a_model_for_another_task_is_refused(bert: Path, task: Task) -> None:
    with pytest.raises(InvalidInput) as caught:
        look(bert, task)
    assert caught.value.field == "spec.model.task"


def test_the_head_of_a_graph_comes_from_its_configuration(tmp_path: Path) -> None:
    place = tiny_models.perceptron(tmp_path / "model", width=8)
    assert look(place, "text-classification").several_labels is None
    config = {"model_type": "bert", "id2label": {"0": "LABEL_0"}}
    (place / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidInput, match=r"spec\.model\.task.*answers with numbers.*use task text-regression"):
        look(place, "text-classification")
    assert look(place, "text-regression").architecture.startswith("ONNX graph")
    (place / "config.json").write_text(json.dumps(config | {"problem_type": "multi_label_classification"}))
    assert look(place, "text-classification").several_labels is True
    (place / "config.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"config\.json.*it is not JSON.*upload it again"):
        look(place, "text-classification")


def test_a_graph_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    place = tiny_models.perceptron(tmp_path / "model", width=8)
    content = (place / "model.onnx").read_bytes()
    for end in range(0, len(content) - 1, 7):
        (place / "model.onnx").write_bytes(content[:end])
        with pytest.raises(InvalidInput, match=r"truncated|not an ONNX model"):
            look(place, "onnx")


def test_an_invalid_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"<html>Not found</html>" * 50)
    with pytest.raises(InvalidInput, match=r"truncated|not an ONNX model"):
        look(tmp_path, "onnx")


def test_external_data_stays_in_the_models_folder(tmp_path: Path) -> None:
    place = tiny_models.perceptron(tmp_path / "model", external=True)
    assert look(place, "onnx").weights == {"model.onnx", "weights"}
    model = onnx.load(place / "model.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        tensor.external_data[0].value = "../weights"
    (place / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InvalidInput, match="is outside the model's folder"):
        look(place, "onnx")


def test_short_external_data_is_refused(tmp_path: Path) -> None:
    place = tiny_models.perceptron(tmp_path / "model", external=True)
    (place / "weights").write_bytes((place / "weights").read_bytes()[:100])
    with pytest.raises(InvalidInput, match="truncated"):
        look(place, "onnx")


def test_custom_operators_are_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Evil", ["x"], ["y"], domain="com.example")],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    with pytest.raises(InvalidInput, match=r"com\.example"):
        look(tmp_path, "onnx")


def test_checksums_come_from_sums_or_from_an_artifact(tmp_path: Path) -> None:
    place = tiny_models.perceptron(tmp_path / "model")
    sealed = seal(place, "onnx", "onnx")
    assert look(place, "onnx").checksums == {file.path: file.sha256 for file in sealed.files}
    (place / "artifact.json").unlink()
    (place / "SHA256SUMS").write_text(f"{sealed.files[0].sha256} *./model.onnx\n")
    assert look(place, "onnx").checksums == {"model.onnx": sealed.files[0].sha256}


def test_the_identity_changes_with_any_file(tmp_path: Path) -> None:
    place = tiny_models.perceptron(tmp_path / "model")
    before = look(place, "onnx").identity
    assert look(place, "onnx").identity == before
    (place / "labels.json").write_text("{}")
    assert look(place, "onnx").identity != before


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"memory.max": "536870912\n"}, 536870912),
        ({"memory/memory.limit_in_bytes": "268435456\n"}, 268435456),
        ({"memory.max": "max\n"}, 1_000_000 * 1024),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 1_000_000 * 1024),
    ],
)
def test_the_memory_limit_is_the_cgroups_or_the_machines(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "meminfo").write_text("MemTotal:        1000000 kB\nMemFree: 5 kB\n")
    assert memory_limit(tmp_path, tmp_path / "meminfo") == expected


def test_too_little_memory_names_the_runtime() -> None:
    with pytest.raises(InvalidInput, match=r"at least 2\.0 GB") as caught:
        check_memory(MemoryForecast(2 * 10**9, 3 * 10**9, "export"), 10**9)
    assert caught.value.field == "spec.runtime"


def test_too_little_disk_is_reported_before_anything_moves(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="are free"):
        check_disk(tmp_path, 1 << 60)


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    place = tiny_models.perceptron(tmp_path / "model")
    source = look(place / "model.onnx", "onnx")
    assert [entry.path for entry in source.files] == ["model.onnx"]
    assert isinstance(source.files[0], Entry)


def test_an_exported_program_is_refused_because_loading_runs_its_code(tmp_path: Path) -> None:
    """The reason for the refusal, shown: a size of the graph that is an expression is evaluated as Python."""
    batch = torch.export.Dim("batch", min=2, max=64)
    module = torch.nn.Flatten(0)
    program = torch.export.export(module, (torch.ones(3, 4),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "model.pt2")
    with pytest.raises(InvalidInput, match=r"runs code when it is loaded.*torch\.onnx\.export") as caught:
        look(tmp_path)
    assert caught.value.reason == "RemoteCode"
    marker = tmp_path / "ran"
    expression = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    with zipfile.ZipFile(tmp_path / "model.pt2") as saved, zipfile.ZipFile(tmp_path / "evil.pt2", "w") as evil:
        for name in saved.namelist():
            content = saved.read(name)
            if name.endswith("models/model.json"):
                content = re.sub(rb'"expr_str": "Mul[^"]*"', b'"expr_str": "' + expression.encode() + b'"', content)
            evil.writestr(name, content)
    with warnings.catch_warnings(), contextlib.suppress(RuntimeError):
        warnings.simplefilter("ignore")
        torch.export.load(tmp_path / "evil.pt2")
    assert marker.exists(), "torch loads programs safely now: take them as sources"


@pytest.mark.parametrize("build", [conditional, looped])
def test_weights_in_constants_and_bodies_are_counted(build: Callable[..., onnx.ModelProto], tmp_path: Path) -> None:
    onnx.save(build(512), tmp_path / "model.onnx")
    store = Counting(tmp_path)
    source = inspect(store, Model(source=f"file://{tmp_path}", task="onnx"))  # type: ignore[arg-type]
    assert source.parameters == pytest.approx(2 * 512 * 512 + 512 * 4, abs=3)
    assert "MatMul" in source.operators
    assert store.read_bytes < 800_000
    onnx.save(constant_graph(np.zeros((32, 32), np.float32)), tmp_path / "model.onnx")
    assert look(tmp_path, "onnx").parameters == 32 * 32


def test_functions_of_the_model_are_not_custom_operators(tmp_path: Path) -> None:
    body = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(np.zeros((32, 32), np.float32))),
        helper.make_node("MatMul", ["a", "w"], ["b"]),
    ]
    model = graph([helper.make_node("Layer", ["x"], ["y"], domain="own")], {"x": ["batch", 32]}, ["y"], {})
    model.functions.append(helper.make_function("own", "Layer", ["a"], ["b"], body, [helper.make_opsetid("", 20)]))
    model.opset_import.append(helper.make_opsetid("own", 1))
    onnx.save(model, tmp_path / "model.onnx")
    assert look(tmp_path, "onnx").parameters == 32 * 32
