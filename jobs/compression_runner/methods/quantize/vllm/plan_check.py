"""Detect models that vLLM's kernels cannot run packed, from the headers of a checkpoint."""

import re
from typing import Final

from compression_runner.formats.source.inspection import Source
from compression_runner.methods.quantize.vllm.kernels import no_experts, no_linear, require_fit
from compressionjob.methods.quantize import Vllm

WEIGHT: Final = ".weight"
FLOATS: Final = re.compile(r"embed|wte|wpe|embd|lm_head|^output\.weight$", re.IGNORECASE)
"""Names of matrices that stay floats: embeddings and the output layer, in checkpoints and in GGUF files."""
EXPERTS: Final = re.compile(r"\bexperts\b|_exps\b")
EXPERT_COUNTS: Final = ("num_local_experts", "num_experts", "n_routed_experts")
"""Keys of config.json."""
CONV1D: Final = ("gpt2", "openai-gpt")
"""Types of models whose layers transformers stores with the inputs first, as Conv1D."""


def check_source(parameters: Vllm, source: Source, field: str) -> None:
    """Raise BadRecipe for layers that do not fit the groups, mixtures of experts, and models without nn.Linear."""
    require_fit(quantized_shapes(source, field), parameters, field)


def quantized_shapes(source: Source, field: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the matrices that are quantized, by their names.

    Raises BadRecipe for mixtures of experts, and models without nn.Linear.
    """
    if source.config.get("model_type") in CONV1D:
        raise no_linear(source.architecture, field)
    experts = _experts(source)
    if experts:
        raise no_experts(experts, field)
    return {
        tensor.name: tensor.shape
        for tensor in source.tensors
        if tensor.name.endswith(WEIGHT) and len(tensor.shape) == 2 and not FLOATS.search(tensor.name)
    }


def _experts(source: Source) -> str:
    """Return what shows a mixture of experts: a tensor, which may hold all experts of a layer, or a configuration."""
    for tensor in source.tensors:
        several = tensor.name.endswith(WEIGHT) and len(tensor.shape) == 3 and "conv" not in tensor.name
        if several or EXPERTS.search(tensor.name):
            return tensor.name
    counts = {key: source.config.get(key) for key in EXPERT_COUNTS}
    return next((f"{key}: {n} in config.json" for key, n in counts.items() if isinstance(n, int) and n > 1), "")
