"""A language model in transformers that answers with the probabilities of a prompt's tokens, as vLLM does."""

from pathlib import Path
from typing import Any

from safetensors import safe_open


class ServedModel:
    """A checkpoint, loaded as its users load it."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        from compression_runner.formats.transformers_model import LOADING

        loader: Any = AutoModelForCausalLM
        model, _ = loader.from_pretrained(folder, **LOADING)
        self._model = model.train(False)

    def predict(self, tokens: list[int]) -> list[dict[str, dict[str, float]] | None]:
        """Return vLLM's `prompt_logprobs`: of each token but the first, and of the most probable one in its place."""
        import torch

        with torch.no_grad():
            logits = self._model(torch.tensor([tokens]), use_cache=False).logits[0, :-1]
        places: list[dict[str, dict[str, float]] | None] = [None]
        for values, token in zip(torch.log_softmax(logits.float(), dim=-1), tokens[1:], strict=True):
            rank = int((values > values[token]).sum()) + 1
            likely = int(values.argmax())
            places.append(
                {
                    str(likely): {"logprob": float(values[likely]), "rank": 1},
                    str(token): {"logprob": float(values[token]), "rank": rank},
                }
            )
        return places


def scales_of(folder: Path) -> list[str]:
    """Return the names of a checkpoint's scales."""
    names: list[str] = []
    for shard in folder.glob("*.safetensors"):
        with safe_open(shard, "pt") as file:
            names += [name for name in file.keys() if name.endswith("_scale")]  # noqa: SIM118
    return names
