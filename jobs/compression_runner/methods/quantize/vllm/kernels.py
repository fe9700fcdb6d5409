"""The shapes that vLLM's kernels for packed weights take.

Read from vLLM 0.32: its kernel for NVIDIA GPUs (Marlin) takes groups of 32, 64 or 128 inputs, or one for each output
channel, and no partial group; it pads outputs to its tiles. Its kernel for CPUs takes 4 bits, and inputs and outputs in
multiples of 32. The outputs are those of a layer that vLLM merges from several of the checkpoint.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from compression_runner.errors import BadRecipe
from compressionjob.methods.quantize import Vllm
from compressionjob.methods.quantize.vllm import PER_CHANNEL

ENGINE: Final = "vLLM 0.32"
GROUP_SIZES: Final = (128, 64, 32)
MULTIPLE: Final = 32
MERGED: Final = (
    (re.compile(r"\b(?:[qkv]_proj|attn_[qkv])\b"), "qkv"),
    (re.compile(r"\b(?:(?:gate|up)_proj|ffn_(?:gate|up))\b"), "gate_up"),
)
"""Layers that vLLM computes as one, by their names in checkpoints and in GGUF files."""


def no_experts(name: str, field: str) -> BadRecipe:
    """Return the error for a mixture of experts, which a tensor or a value of config.json shows."""
    problem = f"{name} belongs to a mixture of experts, which this backend does not write"
    return BadRecipe("UnsupportedModel", f"{field}.backend", "vllm", problem, "use backend llm-compressor")


def no_linear(architecture: str, field: str) -> BadRecipe:
    """Return the error for a model without nn.Linear, which vLLM does not load packed."""
    problem = f"{architecture} has no linear layers (nn.Linear) besides its output layer"
    return BadRecipe("NothingToQuantize", f"{field}.backend", "vllm", problem, "use backend onnxruntime")


def require_fit(shapes: Mapping[str, tuple[int, ...]], parameters: Vllm, field: str) -> None:
    """Raise BadRecipe for a layer (name -> outputs, inputs) that does not fit the kernels."""
    _require_inputs({name: shape[1] for name, shape in shapes.items()}, parameters.effective_group_size, field)
    if parameters.dtype == "int4":
        _require_outputs({name: shape[0] for name, shape in shapes.items()}, field)


def _require_inputs(inputs: Mapping[str, int], group: int, field: str) -> None:
    """Raise BadRecipe for a layer whose inputs do not fill whole groups; `group` is -1 for one per output channel."""
    least = MULTIPLE if group == PER_CHANNEL else group
    unfit = next((name for name, count in inputs.items() if count % least), None)
    if unfit is None:
        return
    fitting = [size for size in GROUP_SIZES if not any(count % size for count in inputs.values())]
    problem = f"{unfit} has {inputs[unfit]} inputs, and {ENGINE} takes multiples of {least} only"
    remedy = f"use groupSize {fitting[0]}" if fitting else "use backend onnxruntime, which fills the last group"
    raise BadRecipe("GroupDoesNotFit", f"{field}.groupSize", group, problem, remedy)


def _require_outputs(outputs: Mapping[str, int], field: str) -> None:
    """Raise BadRecipe for layers whose outputs, after vLLM merged them, do not fill the blocks of the CPU's kernel."""
    merged: defaultdict[str, list[str]] = defaultdict(list)
    for name in outputs:
        whole = name
        for parts, together in MERGED:
            whole = parts.sub(together, whole)
        merged[whole].append(name)
    for names in merged.values():
        count = sum(outputs[name] for name in names)
        if count % MULTIPLE:
            layer = f"{names[0]} has" if len(names) == 1 else f"{', '.join(names)} together have"
            problem = f"{layer} {count} outputs, and {ENGINE} on CPUs takes multiples of {MULTIPLE} only"
            remedy = "use dtype int8, which runs on GPUs only, or backend onnxruntime"
            raise BadRecipe("UnsupportedModel", f"{field}.dtype", "int4", problem, remedy)
