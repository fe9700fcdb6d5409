"""Models that vLLM's kernels cannot run packed are refused from their headers."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import inspect
from compression_runner.methods.registry import METHODS
from compressionjob.methods.quantize import Vllm
from compressionjob.spec import Model
from tests.support import tiny_models
from tests.support.plans import checkpoint_source, open_store, plan_for

FIELD = "spec.pipeline[0].quantize"
STAGE: dict[str, Any] = {"quantize": {"method": "weight-only", "backend": "vllm", "dtype": "int4"}}
PROJECTION = "model.layers.0.mlp.down_proj.weight"
FLOATS = {"model.embed_tokens.weight": (100, 50), "lm_head.weight": (100, 50), "model.norm.weight": (50,)}


def check(source: Any, **parameters: Any) -> None:
    chosen = Vllm.model_validate({"backend": "vllm"} | parameters)
    METHODS["quantize", "vllm"].check_source(chosen, source, FIELD)


@pytest.mark.parametrize(
    ("inputs", "group", "remedy"),
    [
        (576, 128, "use groupSize 64"),
        (96, 64, "use groupSize 32"),
        (80, 32, "use backend onnxruntime"),
        (80, -1, "use backend onnxruntime"),
    ],
)
def test_inputs_that_groups_do_not_divide_are_refused(inputs: int, group: int, remedy: str) -> None:
    source = checkpoint_source({PROJECTION: (64, inputs), **FLOATS})
    with pytest.raises(BadRecipe, match=f"{PROJECTION} has {inputs} inputs") as refused:
        check(source, groupSize=group)
    assert (refused.value.field, refused.value.value) == (f"{FIELD}.groupSize", str(group))
    assert refused.value.remedy.startswith(remedy)


def projections(query: int, key: int) -> dict[str, tuple[int, ...]]:
    sizes = {"q": query, "k": key, "v": key}
    return {f"model.layers.0.self_attn.{name}_proj.weight": (size, 128) for name, size in sizes.items()}


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({PROJECTION: (80, 128)}, f"{PROJECTION} has 80 outputs"),
        (projections(32, 8), r"q_proj\.weight, \S+k_proj\.weight, \S+v_proj\.weight together have 48 outputs"),
        ({"blk.0.ffn_up.weight": (40, 128), "blk.0.ffn_gate.weight": (40, 128)}, "together have 80 outputs"),
    ],
)
def test_outputs_that_the_kernel_for_cpus_does_not_take_are_refused(
    tensors: dict[str, tuple[int, ...]], problem: str
) -> None:
    source = checkpoint_source(tensors | FLOATS)
    with pytest.raises(BadRecipe, match=rf"{problem}, and vLLM 0\.32 on CPUs takes multiples of 32") as refused:
        check(source, dtype="int4")
    assert (refused.value.field, refused.value.value) == (f"{FIELD}.dtype", "int4")
    assert refused.value.remedy.startswith("use dtype int8")
    check(source, dtype="int8")


def test_outputs_are_those_of_the_layers_that_vllm_merges() -> None:
    check(checkpoint_source(projections(32, 16) | FLOATS), dtype="int4")


def test_layers_that_groups_divide_are_accepted() -> None:
    check(checkpoint_source({PROJECTION: (64, 576), **FLOATS}), groupSize=64)
    check(checkpoint_source({PROJECTION: (64, 1536), **FLOATS}))
    check(checkpoint_source({PROJECTION: (64, 128), "model.layers.0.conv1d.weight": (64, 1, 4)}, num_local_experts=1))


@pytest.mark.parametrize(
    ("tensors", "config", "problem", "remedy"),
    [
        ({"model.layers.0.mlp.experts.1.w1.weight": (64, 128)}, {}, "mixture of experts", "backend llm-compressor"),
        (
            {"model.layers.0.block_sparse_moe.input_linear.weight": (8, 64, 128)},
            {},
            "input_linear.weight belongs to a mixture of experts",
            "backend llm-compressor",
        ),
        ({PROJECTION: (64, 128)}, {"num_experts": 8}, "num_experts: 8 in config.json", "backend llm-compressor"),
        ({"h.0.attn.c_attn.weight": (128, 384)}, {"model_type": "gpt2"}, "no linear layers", "backend onnxruntime"),
    ],
)
def test_layers_that_are_not_linear_are_refused(
    tensors: dict[str, tuple[int, ...]], config: dict[str, Any], problem: str, remedy: str
) -> None:
    with pytest.raises(BadRecipe, match=problem) as refused:
        check(checkpoint_source(tensors, **config))
    assert remedy in refused.value.remedy


def test_a_gguf_file_is_checked_by_its_own_names(tmp_path: Path) -> None:
    tiny_models.llama(tmp_path / "llama")
    tiny_models.gguf(tmp_path / "model.gguf", tmp_path / "llama")
    model = Model.model_validate({"source": f"file://{tmp_path}/model.gguf", "task": "text-generation"})
    source = inspect(open_store(tmp_path / "model.gguf"), model)
    check(source, groupSize=32)
    with pytest.raises(BadRecipe, match=r"blk\.0\.\S+ has 32 inputs"):
        check(source, groupSize=64)


def test_the_checkpoint_is_published_and_its_export_measured(tmp_path: Path) -> None:
    tiny_models.llama(tmp_path / "llama")
    pruned = {"prune": {"sparsity": "0.5"}}
    plan = plan_for(tmp_path / "llama", "text-generation", pruned, STAGE, {"pack": {}})
    assert [(step.method.name, step.format) for step in plan.steps] == [
        ("prune", "transformers"),
        ("quantize", "compressed-tensors"),
        ("pack", "compressed-tensors"),
    ]
    assert plan.measured is not None
    assert plan.measured.format == "onnx"
    assert plan.measured.parent is plan.steps[1]


def test_other_formats_and_tasks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="backend vllm gives a Transformers folder for vLLM"):
        plan_for(tmp_path, "text-generation", STAGE, format="onnx")
    with pytest.raises(ValidationError, match="it quantizes language models"):
        plan_for(tmp_path, "text-embedding", STAGE)
