"""The plan check refuses structures that a checkpoint does not have."""

import pytest

from compression_runner.errors import BadRecipe
from compression_runner.methods.prune import structured
from compression_runner.methods.prune.plan_check import UNPRUNABLE, check_source
from compressionjob.methods.prune import Prune
from tests.support.plans import checkpoint_source

Shapes = dict[str, tuple[int, ...]]
ATTENTION = "encoder.layer.0.attention"
BERT: Shapes = {
    f"{ATTENTION}.self.query.weight": (32, 32),
    f"{ATTENTION}.self.key.weight": (32, 32),
    f"{ATTENTION}.self.value.weight": (32, 32),
    f"{ATTENTION}.output.dense.weight": (32, 32),
    "cls_token": (1, 1, 32),
}
GROUPED: Shapes = {
    "layers.0.self_attn.q_proj.weight": (32, 32),
    "layers.0.self_attn.k_proj.weight": (16, 32),
    "layers.0.self_attn.v_proj.weight": (16, 32),
    "layers.0.self_attn.o_proj.weight": (32, 32),
}
JOINT: Shapes = {"layers.0.attention.query_key_value.weight": (96, 32), "layers.0.attention.dense.weight": (32, 32)}
GPT2: Shapes = {"h.0.attn.c_attn.weight": (32, 96), "h.0.attn.c_proj.weight": (32, 32)}
CONVOLUTION: Shapes = {"stem.convolution.weight": (8, 3, 3, 3)}
NORMALIZED: Shapes = {"conv.weight": (8, 1, 10), "pos.parametrizations.weight.original1": (16, 8, 8)}


def check(structure: str, shapes: Shapes, **config: object) -> None:
    parameters = Prune.model_validate({"method": "structured", "structure": structure, "sparsity": "0.5"})
    check_source(parameters, checkpoint_source(shapes, **config), "spec.pipeline[0].prune")


@pytest.mark.parametrize(
    ("structure", "shapes", "message"),
    [
        ("channels", BERT, "has no convolutions along one or two axes"),
        ("channels", {"patches.weight": (8, 3, 2, 4, 4)}, "has no convolutions along one or two axes"),
        ("channels", NORMALIZED, r"pos.parametrizations.weight.original1 is part of a weight with weight_norm"),
        ("neurons", CONVOLUTION | {"classifier.weight": (3, 8)}, "has no feed-forward blocks"),
        ("heads", GROUPED, "no separate query, key and value"),
        ("heads", JOINT, "no separate query, key and value"),
        ("heads", {name: BERT[name] for name in list(BERT)[:3]}, "no separate query, key and value"),
        ("heads", BERT | {"layer.0.relative_position_bias_table": (49, 2)}, "has a fixed column for each head"),
    ],
)
def test_missing_structures_are_refused(structure: str, shapes: Shapes, message: str) -> None:
    with pytest.raises(BadRecipe, match=message):
        check(structure, shapes)


@pytest.mark.parametrize(
    ("structure", "shapes"),
    [("channels", CONVOLUTION), ("heads", BERT), ("heads", GPT2), ("neurons", JOINT), ("layers", BERT)],
)
def test_existing_structures_are_accepted(structure: str, shapes: Shapes) -> None:
    check(structure, shapes, model_type="any", num_hidden_layers=2)


@pytest.mark.parametrize(("structure", "kind"), UNPRUNABLE)
def test_unprunable_model_types_are_refused_with_the_reason(structure: str, kind: str) -> None:
    with pytest.raises(BadRecipe) as refused:
        check(structure, CONVOLUTION | JOINT | BERT, model_type=kind)
    assert refused.value.problem == f"{structure}: {UNPRUNABLE[structure, kind]}"
    assert refused.value.field == "spec.pipeline[0].prune.structure"


def test_layers_without_equal_sizes_are_refused() -> None:
    with pytest.raises(BadRecipe, match="its configuration has no intermediate_size"):
        check("layers", BERT, model_type="gpt_neo", intermediate_size=None, num_layers=2)
    with pytest.raises(BadRecipe, match="its layers are two stacks"):
        check("layers", BERT, model_type="moonshine", intermediate_size=64, is_encoder_decoder=True)


def test_the_stage_raises_the_same_message() -> None:
    assert structured.no_convolutions("spec").problem == "the model has no convolutions along one or two axes"
