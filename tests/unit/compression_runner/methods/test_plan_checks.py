"""What factorize, distill and the export cannot do to a checkpoint is seen from its headers."""

import pytest

from compression_runner.errors import BadRecipe
from compression_runner.methods import distill, factorize
from compression_runner.pipeline.preflight import check_stages
from compressionjob.methods.distill import Distill
from compressionjob.methods.factorize import Factorize
from tests.support.plans import checkpoint_source, onnx_spec

LINEAR = {"dense.weight": (32, 32), "norm.weight": (32,)}


@pytest.mark.parametrize("method", ["tucker", "cp"])
def test_a_factorization_of_convolutions_needs_one(method: str) -> None:
    parameters = Factorize.model_validate({"method": method, "rank": 4})
    with pytest.raises(BadRecipe, match=f"{method} takes convolutions, and the model has none"):
        factorize.METHOD.check_source(parameters, checkpoint_source(LINEAR), "spec.pipeline[0].factorize")
    grouped = checkpoint_source({**LINEAR, "mixer.conv1d.weight": (64, 1, 4)})
    with pytest.raises(BadRecipe, match="the model has only those in groups"):
        factorize.METHOD.check_source(parameters, grouped, "spec.pipeline[0].factorize")
    convolution = checkpoint_source({**LINEAR, "patches.projection.weight": (8, 3, 4, 4)})
    factorize.METHOD.check_source(parameters, convolution, "spec.pipeline[0].factorize")


def test_a_rank_that_makes_nothing_smaller_is_refused() -> None:
    classifier = checkpoint_source({"classifier.weight": (3, 16)})
    with pytest.raises(BadRecipe, match="none of the 1 layers would become smaller"):
        factorize.METHOD.check_source(Factorize(rank=4), classifier, "spec.pipeline[0].factorize")
    factorize.METHOD.check_source(Factorize(rank=2), classifier, "spec.pipeline[0].factorize")
    factorize.METHOD.check_source(Factorize(budget=0.9), classifier, "spec.pipeline[0].factorize")


def test_a_factorization_of_matrices_is_left_to_the_stage() -> None:
    factorize.METHOD.check_source(Factorize(rank=4), checkpoint_source(LINEAR), "spec.pipeline[0].factorize")


def test_a_student_is_derived_from_equal_layers_alone() -> None:
    derived = Distill.model_validate({"student": {"layers": 1}})
    stages = checkpoint_source(LINEAR, model_type="resnet", depths=[1, 1], hidden_sizes=[8, 16])
    with pytest.raises(BadRecipe, match="its configuration has no num_hidden_layers") as refused:
        distill.METHOD.check_source(derived, stages, "spec.pipeline[0].distill")
    assert refused.value.field == "spec.pipeline[0].distill.student"
    distill.METHOD.check_source(Distill(), stages, "spec.pipeline[0].distill")
    equal = checkpoint_source(LINEAR, model_type="bert", num_hidden_layers=2, intermediate_size=64)
    distill.METHOD.check_source(derived, equal, "spec.pipeline[0].distill")


def test_attention_in_windows_is_refused_with_the_cause_of_the_exporter() -> None:
    windows = checkpoint_source(LINEAR, model_type="longformer", attention_window=[512])
    with pytest.raises(BadRecipe, match="Could not guard on data-dependent expression") as refused:
        check_stages(onnx_spec(), windows)
    assert (refused.value.reason, refused.value.field) == ("ExportFailed", "spec.model.source")
    check_stages(onnx_spec(), checkpoint_source(LINEAR, model_type="bert"))
