"""Pack the first megabytes of MiniLM's weights: as published, in 16 bits, pruned and quantized."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from compression_runner.artifact import Artifact, seal
from compression_runner.methods.pack.unpacking import unpack
from compression_runner.methods.prune.magnitude import find_threshold, prune
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compressionjob.methods.pack import Codec, Pack
from samples.text import minilm

pytestmark = pytest.mark.real_data

ROWS = 3000
LAYER = "encoder.layer.0."


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Return a slice of the embedding and the whole first layer, 11 MB."""
    source = tmp_path_factory.mktemp("minilm")
    minilm(source)
    tensors = load_file(source / "model.safetensors")
    layer = {name: tensor for name, tensor in tensors.items() if name.startswith(LAYER)}
    return {"embeddings.weight": tensors["embeddings.word_embeddings.weight"][2000 : 2000 + ROWS].clone(), **layer}


def artifact(weights: dict[str, torch.Tensor], folder: Path) -> Artifact:
    folder.mkdir()
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    return seal(folder, "transformers", "text-embedding")


def ratio(codec: Codec, source: Artifact, folder: Path) -> float:
    """Return the compression ratio, after a check that unpacking restores the source."""
    folder.mkdir()
    context = StageContext(folder, "spec.pipeline[0].pack")
    packed = METHODS["pack", ""].run(source, Pack(codec=codec), context).artifact
    assert unpack(packed, folder.with_name(f"{folder.name}-restored")).digest == source.digest
    return source.size_bytes / packed.size_bytes


@pytest.mark.parametrize(
    ("dtype", "least"), [(torch.float32, 1.19), (torch.float16, 1.16), (torch.bfloat16, 1.48)], ids=str
)
def test_auto_packs_floats_no_worse_than_zipnn(
    weights: dict[str, torch.Tensor], dtype: torch.dtype, least: float, tmp_path: Path
) -> None:
    source = artifact({name: tensor.to(dtype) for name, tensor in weights.items()}, tmp_path / "source")
    ratios = {codec: ratio(codec, source, tmp_path / codec) for codec in ("auto", "zipnn", "byte-plane", "zstd")}
    assert ratios["auto"] >= least
    # By tensor, zipnn has an advantage of a few bytes in ten thousand on float32.
    assert ratios["auto"] >= 0.9995 * ratios["zipnn"]
    assert ratios["auto"] >= ratios["byte-plane"]
    assert ratios["auto"] > 1.05 * ratios["zstd"]


def test_auto_packs_pruned_weights_to_a_sixth(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    matrices = [name for name, tensor in weights.items() if tensor.dim() == 2]
    arrays = [weights[name].numpy() for name in matrices]
    threshold = find_threshold(lambda: arrays, int(0.9 * sum(array.size for array in arrays)))
    pruned = dict(weights)
    for name in matrices:
        zeroed, threshold = prune(weights[name].numpy(), threshold)
        pruned[name] = torch.from_numpy(zeroed)
    source = artifact(pruned, tmp_path / "source")
    assert ratio("auto", source, tmp_path / "auto") > 6
    assert ratio("auto", source, tmp_path / "again") > ratio("zstd", source, tmp_path / "zstd")


def test_auto_packs_int8_by_rows_and_columns(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """Per-channel INT8 has one scale per row, so auto compresses a little further than zstd."""
    integers = {}
    for name, tensor in weights.items():
        if tensor.dim() == 2:
            scale = tensor.abs().amax(1, keepdim=True) / 127
            integers[name] = torch.round(tensor / scale).to(torch.int8)
    source = artifact(integers, tmp_path / "source")
    assert ratio("auto", source, tmp_path / "auto") > 1.005 * ratio("zstd", source, tmp_path / "zstd")


def test_a_graph_is_packed_by_tensor(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper, save

    matrix = weights["embeddings.weight"].numpy().astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", ROWS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", matrix.shape[1]])],
        [numpy_helper.from_array(matrix, "w")],
    )
    (tmp_path / "graph").mkdir()
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), tmp_path / "graph/m.onnx"
    )
    source = seal(tmp_path / "graph", "onnx", "onnx")
    assert ratio("auto", source, tmp_path / "auto") > 1.05 * ratio("zstd", source, tmp_path / "zstd")
