"""The modules around a model give it its inputs as it takes them."""

from types import SimpleNamespace

import torch

from compression_runner.formats.task_module import Classifier, ClassifierOfInputMask, LanguageModel


class OfInputMask(torch.nn.Module):
    """Answers with the mask that it was given."""

    def forward(self, input_ids: torch.Tensor, input_mask: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=input_mask)


def test_a_mask_of_what_is_filled_up_is_given_ready() -> None:
    module = ClassifierOfInputMask(OfInputMask(), ("input_ids", "attention_mask"))
    answers = module(torch.ones(2, 3, dtype=torch.int64), torch.tensor([[1, 1, 0], [1, 1, 1]]))
    assert answers.dtype == torch.float32
    assert answers.tolist() == [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


class OfOnePlace(torch.nn.Module):
    """Answers for one place, as a language model does for one token, and some classifiers do for the whole."""

    def forward(self, input_ids: torch.Tensor, use_cache: bool = True) -> SimpleNamespace:
        return SimpleNamespace(logits=input_ids.float()[:, None])


def test_classes_of_one_place_are_those_of_the_sample() -> None:
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert Classifier(OfOnePlace(), ("input_ids",))(tokens).tolist() == tokens.tolist()
    assert LanguageModel(OfOnePlace(), ("input_ids",))(tokens).shape == (2, 1, 3)
