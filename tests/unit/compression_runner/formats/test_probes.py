"""Example inputs are valid for their models, and library errors on them become refusals in one line."""

from pathlib import Path

import pytest
import torch

from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.formats.comparison import compare_outputs
from compression_runner.formats.probes import probes
from compression_runner.formats.task_module import Interface, wrap
from compression_runner.formats.transformers_model import load_model
from tests.support.text_families import text_model


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_texts_of_encoder_decoders_have_one_end_token(tmp_path: Path, family: str) -> None:
    # With a vocabulary of this size, random tokens rarely include the end token.
    folder = text_model(tmp_path / family, family, "text-classification", vocab_size=50265)
    model = load_model(folder, "text-classification")
    module, interface = wrap(model, folder, "text-classification")
    for probe in probes(model, folder, interface):
        tokens, mask = probe[:2]
        assert ((tokens == 2).sum(1) == 1).all()
        assert (tokens[torch.arange(len(tokens)), mask.sum(1) - 1] == 2).all()
        with torch.no_grad():
            assert module(*probe).shape == (len(tokens), 3)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("All examples must have\nthe same"), "All examples must have"),
        (KeyError("mask"), "KeyError 'mask'"),
        (AssertionError(), "AssertionError"),
        (IndexError("index out of range in self"), "index out of range in self"),
    ],
)
def test_an_error_of_a_model_becomes_a_refusal_in_one_line(error: Exception, cause: str) -> None:
    class Broken(torch.nn.Module):
        def forward(self, *_tensors: torch.Tensor) -> torch.Tensor:
            raise error

    assert isinstance(error, LIBRARY_ERRORS)
    with pytest.raises(BadRecipe) as caught:
        compare_outputs(Broken(), lambda _tensors: [], Interface(("x",), "y"), [(torch.zeros(2, 5),)])
    assert caught.value.problem == f"the model itself does not run on an input of (2, 5): {cause}"
    assert caught.value.remedy


def test_the_cause_of_an_error_chain_is_its_root() -> None:
    step = RuntimeError("Failed to export the model. This is step 1/3 of exporting")
    step.__cause__ = ValueError("\n  Could not guard on u0  \n more")
    assert cause(step) == "Could not guard on u0"
