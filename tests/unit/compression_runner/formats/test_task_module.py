"""Task modules convert inputs and outputs of a model."""

from types import SimpleNamespace

import torch

from compression_runner.formats.task_module import Classifier, ClassifierOfInputMask, LanguageModel


class OfInputMask(torch.nn.Module):
    """Return the given mask as the output."""

    def forward(self, input_ids: torch.Tensor, input_mask: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=input_mask)


def test_an_inverted_mask_is_computed_by_the_wrapper() -> None:
    module = ClassifierOfInputMask(OfInputMask(), ("input_ids", "attention_mask"))
    answers = module(torch.ones(2, 3, dtype=torch.int64), torch.tensor([[1, 1, 0], [1, 1, 1]]))
    assert answers.dtype == torch.float32
    assert answers.tolist() == [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


class OfOnePlace(torch.nn.Module):
    """Return logits for one position, like a language model for one token, and some classifiers for the sample."""

    def forward(self, input_ids: torch.Tensor, use_cache: bool = True) -> SimpleNamespace:
        return SimpleNamespace(logits=input_ids.float()[:, None])


def test_classifiers_drop_a_single_position() -> None:
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert Classifier(OfOnePlace(), ("input_ids",))(tokens).tolist() == tokens.tolist()
    assert LanguageModel(OfOnePlace(), ("input_ids",))(tokens).shape == (2, 1, 3)
