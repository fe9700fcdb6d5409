"""GGUF as a source: its header, its refusals, and the Transformers model that it stands for."""

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


def look(place: Path, task: Task = "text-generation") -> Source:
    model = Model.model_validate({"source": f"file://{place}", "task": task})
    return inspect(open_store(place), model)


def test_the_header_tells_architecture_and_tensors(gguf: Path, llama: Path) -> None:
    found = look(gguf)
    expected = AutoModelForCausalLM.from_pretrained(llama)
    assert found.format == "gguf"
    assert found.architecture == "llama, GGUF of F32"
    assert found.parameters == sum(parameter.numel() for parameter in expected.parameters())
    shapes = {tensor.name: tensor.shape for tensor in found.tensors}
    assert shapes["blk.0.ffn_up.weight"] == (64, 32)
    assert found.weights_bytes == gguf.stat().st_size
    assert look(gguf.parent).identity == found.identity


@pytest.fixture(scope="module")
def imported(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    place = tmp_path_factory.mktemp("source")
    (place / "tiny.gguf").write_bytes(gguf.read_bytes())
    source = artifacts.seal(place, "gguf", "text-generation", weights={"tiny.gguf"})
    into = tmp_path_factory.mktemp("imported")
    return METHODS["import", ""].run(source, None, StageContext(into, "spec.model.source")).artifact


def test_the_import_is_the_model_that_was_written(imported: Artifact, llama: Path) -> None:
    ids = torch.from_numpy(np.random.default_rng(0).integers(1, 257, size=(2, 30)))
    with torch.no_grad():
        before, after = (AutoModelForCausalLM.from_pretrained(path)(ids).logits for path in (llama, imported.path))
    torch.testing.assert_close(after, before)
    text = "In the beginning, 1611.\n"
    ours, theirs = (AutoTokenizer.from_pretrained(path)(text)["input_ids"] for path in (imported.path, llama))
    assert ours == theirs
    assert imported.format == "transformers"
    assert imported.size_bytes == (llama / "model.safetensors").stat().st_size


def test_quantized_blocks_become_the_numbers_that_they_stand_for(tmp_path: Path, llama: Path) -> None:
    weights = np.random.default_rng(1).normal(size=(64, 32)).astype(np.float32)
    stored = quants.quantize(weights, GGMLQuantizationType.Q8_0)
    place = tiny_models.gguf(tmp_path / "source" / "model.gguf", llama, {"blk.1.ffn_up.weight": stored})
    assert look(place).architecture == "llama, GGUF of F32, Q8_0"
    source = artifacts.seal(place.parent, "gguf", "text-generation", weights={place.name})
    into = tmp_path / "into"
    into.mkdir()
    made = METHODS["import", ""].run(source, None, StageContext(into, "spec.model.source"))
    model = AutoModelForCausalLM.from_pretrained(made.artifact.path)
    found = model.get_submodule("model.layers.1.mlp.up_proj").weight.detach().numpy()
    np.testing.assert_array_equal(found, quants.dequantize(stored, GGMLQuantizationType.Q8_0))
    assert made.details["ggufBytes"] == place.stat().st_size


def test_the_plan_begins_with_the_import(gguf: Path) -> None:
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": f"file://{gguf}", "task": "text-generation"},
            "data": {"evaluation": {"source": "file:///data.parquet"}},
            "pipeline": [{"quantize": {"method": "dynamic"}}],
            "output": {"destination": "file:///out"},
        }
    )
    plan = make_plan(spec, look(gguf))
    assert [step.method.name for step in plan.steps] == ["import", "export", "quantize"]
    assert plan.imported is plan.steps[0]
    assert plan.baseline is not None
    assert plan.baseline.fingerprint == plan.steps[1].fingerprint


def truncated(place: Path) -> None:
    place.write_bytes(place.read_bytes()[:-100])


def truncated_header(place: Path) -> None:
    place.write_bytes(place.read_bytes()[:200])


def version_one(place: Path) -> None:
    content = bytearray(place.read_bytes())
    content[4:8] = struct.pack("<I", 1)
    place.write_bytes(content)


def endless(place: Path) -> None:
    content = bytearray(place.read_bytes())
    content[8:16] = struct.pack("<Q", 1 << 60)
    place.write_bytes(content)


def another_file(place: Path) -> None:
    place.write_bytes(b"PK" + place.read_bytes())


def unknown_architecture(place: Path) -> None:
    writer = GGUFWriter(place, "hal9000")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (truncated, "truncated: its tensors end at byte"),
        (truncated_header, "truncated: its header needs"),
        (version_one, "version 1 is none of 2, 3"),
        (endless, "are more than there can be"),
        (another_file, "does not begin with GGUF"),
        (unknown_architecture, "no GGUF of the architecture hal9000"),
    ],
)
def test_a_file_that_would_fail_later_is_refused(
    change: Callable[[Path], None], says: str, gguf: Path, tmp_path: Path
) -> None:
    place = tmp_path / "model.gguf"
    place.write_bytes(gguf.read_bytes())
    change(place)
    with pytest.raises(InvalidInput, match=says):
        look(place)


def test_another_task_and_several_files_are_refused(gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds a language model"):
        look(gguf, "text-embedding")
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(gguf.read_bytes())
    with pytest.raises(InvalidInput, match=r"there are 2 \.gguf files"):
        look(tmp_path)
