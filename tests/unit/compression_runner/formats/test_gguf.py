"""GGUF as a source: header, refusals, and the conversion to a Transformers model."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quants
from transformers import AutoModelForCausalLM, AutoTokenizer

from compression_runner import artifact as artifacts
from compression_runner.artifact import Artifact
from compression_runner.errors import InvalidInput
from compression_runner.formats.source.inspection import Source, inspect
from compression_runner.methods.registry import METHODS
from compression_runner.pipeline.planner import make_plan
from compression_runner.stages.method import StageContext
from compressionjob.spec import CompressionJobSpec, Model
from compressionjob.tasks import Task
from tests.support import tiny_models
from tests.support.plans import open_store


@pytest.fixture(scope="module")
def gguf(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", llama)


def inspect_source(path: Path, task: Task = "text-generation") -> Source:
    model = Model.model_validate({"source": f"file://{path}", "task": task})
    return inspect(open_store(path), model)


def test_the_header_has_architecture_and_tensors(gguf: Path, llama: Path) -> None:
    source = inspect_source(gguf)
    expected = AutoModelForCausalLM.from_pretrained(llama)
    assert source.format == "gguf"
    assert source.architecture == "llama, GGUF of F32"
    assert source.parameters == sum(parameter.numel() for parameter in expected.parameters())
    shapes = {tensor.name: tensor.shape for tensor in source.tensors}
    assert shapes["blk.0.ffn_up.weight"] == (64, 32)
    assert source.weights_bytes == gguf.stat().st_size
    assert inspect_source(gguf.parent).identity == source.identity


@pytest.fixture(scope="module")
def imported(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    path = tmp_path_factory.mktemp("source")
    (path / "tiny.gguf").write_bytes(gguf.read_bytes())
    source = artifacts.seal(path, "gguf", "text-generation", weights={"tiny.gguf"})
    into = tmp_path_factory.mktemp("imported")
    return METHODS["import", ""].run(source, None, StageContext(into, "spec.model.source")).artifact


def test_the_import_equals_the_written_model(imported: Artifact, llama: Path) -> None:
    ids = torch.from_numpy(np.random.default_rng(0).integers(1, 257, size=(2, 30)))
    with torch.no_grad():
        before, after = (AutoModelForCausalLM.from_pretrained(path)(ids).logits for path in (llama, imported.path))
    torch.testing.assert_close(after, before)
    text = "In the beginning, 1611.\n"
    imported_ids, original_ids = (
        AutoTokenizer.from_pretrained(path)(text)["input_ids"] for path in (imported.path, llama)
    )
    assert imported_ids == original_ids
    assert imported.format == "transformers"
    assert imported.size_bytes == (llama / "model.safetensors").stat().st_size


def test_quantized_blocks_are_dequantized(tmp_path: Path, llama: Path) -> None:
    weights = np.random.default_rng(1).normal(size=(64, 32)).astype(np.float32)
    stored = quants.quantize(weights, GGMLQuantizationType.Q8_0)
    path = tiny_models.gguf(tmp_path / "source" / "model.gguf", llama, {"blk.1.ffn_up.weight": stored})
    assert inspect_source(path).architecture == "llama, GGUF of F32, Q8_0"
    source = artifacts.seal(path.parent, "gguf", "text-generation", weights={path.name})
    into = tmp_path / "into"
    into.mkdir()
    imported = METHODS["import", ""].run(source, None, StageContext(into, "spec.model.source"))
    model = AutoModelForCausalLM.from_pretrained(imported.artifact.path)
    weight = model.get_submodule("model.layers.1.mlp.up_proj").weight.detach().numpy()
    np.testing.assert_array_equal(weight, quants.dequantize(stored, GGMLQuantizationType.Q8_0))
    assert imported.details["ggufBytes"] == path.stat().st_size


def test_the_plan_begins_with_the_import(gguf: Path) -> None:
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": f"file://{gguf}", "task": "text-generation"},
            "data": {"evaluation": {"source": "file:///data.parquet"}},
            "pipeline": [{"quantize": {"method": "dynamic"}}],
            "output": {"destination": "file:///out"},
        }
    )
    plan = make_plan(spec, inspect_source(gguf))
    assert [step.method.name for step in plan.steps] == ["import", "export", "quantize"]
    assert plan.imported is plan.steps[0]
    assert plan.baseline is not None
    assert plan.baseline.fingerprint == plan.steps[1].fingerprint


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def truncated_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def version_one(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4:8] = struct.pack("<I", 1)
    path.write_bytes(content)


def too_many_tensors(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8:16] = struct.pack("<Q", 1 << 60)
    path.write_bytes(content)


def another_file(path: Path) -> None:
    path.write_bytes(b"PK" + path.read_bytes())


def unknown_architecture(path: Path) -> None:
    writer = GGUFWriter(path, "hal9000")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (truncated, "truncated: its tensors end at byte"),
        (truncated_header, "truncated: its header needs"),
        (version_one, "version 1 is not one of 2, 3"),
        (too_many_tensors, "more than the maximum of"),
        (another_file, "does not begin with GGUF"),
        (unknown_architecture, "does not read GGUF of architecture hal9000"),
    ],
)
def test_bad_files_are_refused_before_the_import(
    change: Callable[[Path], None], message: str, gguf: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf.read_bytes())
    change(path)
    with pytest.raises(InvalidInput, match=message):
        inspect_source(path)


def test_another_task_and_several_files_are_refused(gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds a language model"):
        inspect_source(gguf, "text-embedding")
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(gguf.read_bytes())
    with pytest.raises(InvalidInput, match=r"there are 2 \.gguf files"):
        inspect_source(tmp_path)
