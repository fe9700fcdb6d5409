"""The modules around a model give it its inputs as it takes them."""

from types import SimpleNamespace

import torch

from compression_runner.formats.task_module import ClassifierOfInputMask


class OfInputMask(torch.nn.Module):
    """Answers with the mask that it was given."""

    def forward(self, input_ids: torch.Tensor, input_mask: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=input_mask)


def test_a_mask_of_what_is_filled_up_is_given_ready() -> None:
    module = ClassifierOfInputMask(OfInputMask(), ("input_ids", "attention_mask"))
    answers = module(torch.ones(2, 3, dtype=torch.int64), torch.tensor([[1, 1, 0], [1, 1, 1]]))
    assert answers.dtype == torch.float32
    assert answers.tolist() == [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
