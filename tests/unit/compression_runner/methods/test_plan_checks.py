"""Plan checks of factorize, distill, recover and export by the headers of a checkpoint."""

from dataclasses import replace

import pytest

from compression_runner.errors import BadRecipe
from compression_runner.methods import distill, factorize, prune
from compression_runner.pipeline.preflight import check_stages
from compressionjob.methods.distill import Distill
from compressionjob.methods.factorize import Factorize
from compressionjob.methods.prune import Prune
from tests.support.plans import checkpoint_source, onnx_spec

LINEAR = {"dense.weight": (32, 32), "norm.weight": (32,)}


@pytest.mark.parametrize("method", ["tucker", "cp"])
def test_factorizations_of_convolutions_need_convolutions(method: str) -> None:
    parameters = Factorize.model_validate({"method": method, "rank": 4})
    with pytest.raises(BadRecipe, match=f"{method} takes convolutions, and the model has none"):
        factorize.METHOD.check_source(parameters, checkpoint_source(LINEAR), "spec.pipeline[0].factorize")
    grouped = checkpoint_source({**LINEAR, "mixer.conv1d.weight": (64, 1, 4)})
    with pytest.raises(BadRecipe, match="the model has only those in groups"):
        factorize.METHOD.check_source(parameters, grouped, "spec.pipeline[0].factorize")
    convolution = checkpoint_source({**LINEAR, "patches.projection.weight": (8, 3, 4, 4)})
    factorize.METHOD.check_source(parameters, convolution, "spec.pipeline[0].factorize")


def test_a_rank_that_makes_no_layer_smaller_is_refused() -> None:
    classifier = checkpoint_source({"classifier.weight": (3, 16)})
    with pytest.raises(BadRecipe, match="none of the 1 layers would become smaller"):
        factorize.METHOD.check_source(Factorize(rank=4), classifier, "spec.pipeline[0].factorize")
    factorize.METHOD.check_source(Factorize(rank=2), classifier, "spec.pipeline[0].factorize")
    factorize.METHOD.check_source(Factorize(budget=0.9), classifier, "spec.pipeline[0].factorize")


def test_a_factorization_of_matrices_is_accepted() -> None:
    factorize.METHOD.check_source(Factorize(rank=4), checkpoint_source(LINEAR), "spec.pipeline[0].factorize")


@pytest.mark.parametrize(("method", "operator"), [("svd", "Conv"), ("tucker", "Gemm")])
def test_a_factorization_of_a_graph_needs_its_kind_of_layer(method: str, operator: str) -> None:
    parameters = Factorize.model_validate({"method": method, "rank": 4})
    graph = replace(checkpoint_source({}), format="onnx", layers=frozenset({operator}))
    with pytest.raises(BadRecipe, match=f"{method} takes .*, and the model has {operator}"):
        factorize.METHOD.check_source(parameters, graph, "spec.pipeline[0].factorize")
    both = replace(graph, layers=frozenset({"Conv", "Gemm"}))
    factorize.METHOD.check_source(parameters, both, "spec.pipeline[0].factorize")


def test_pruning_a_graph_needs_a_layer() -> None:
    graph = replace(checkpoint_source({}), format="onnx", layers=frozenset())
    with pytest.raises(BadRecipe, match="the graph has no linear layers"):
        prune.METHOD.check_source(Prune(sparsity=0.5), graph, "spec.pipeline[0].prune")
    prune.METHOD.check_source(Prune(sparsity=0.5), replace(graph, layers=frozenset({"Conv"})), "spec.pipeline[0].prune")


def test_a_derived_student_needs_equal_layers() -> None:
    derived = Distill.model_validate({"student": {"layers": 1}})
    stages = checkpoint_source(LINEAR, model_type="resnet", depths=[1, 1], hidden_sizes=[8, 16])
    with pytest.raises(BadRecipe, match="its configuration has no num_hidden_layers") as refused:
        distill.METHOD.check_source(derived, stages, "spec.pipeline[0].distill")
    assert refused.value.field == "spec.pipeline[0].distill.student"
    distill.METHOD.check_source(Distill(), stages, "spec.pipeline[0].distill")
    equal = checkpoint_source(LINEAR, model_type="bert", num_hidden_layers=2, intermediate_size=64)
    distill.METHOD.check_source(derived, equal, "spec.pipeline[0].distill")


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"model_type": "longformer", "attention_window": [512]}, "Could not guard on data-dependent expression"),
        ({"model_type": "sew", "squeeze_factor": 2}, "torch exports the model for one length"),
    ],
)
def test_a_model_that_torch_cannot_export_is_refused_with_the_cause(config: dict[str, object], cause: str) -> None:
    with pytest.raises(BadRecipe, match=cause) as refused:
        check_stages(onnx_spec(), checkpoint_source(LINEAR, **config))
    assert (refused.value.reason, refused.value.field) == ("ExportFailed", "spec.model.source")


def test_other_models_are_accepted() -> None:
    check_stages(onnx_spec(), checkpoint_source(LINEAR, model_type="bert"))
    check_stages(onnx_spec(), checkpoint_source(LINEAR, model_type="sew", squeeze_factor=1))
