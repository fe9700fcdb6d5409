"""A fresh process that loads a packed checkpoint as its users do, and checks what it loaded against the files.

`python -m compression_runner.formats.packed_loading FOLDER RESULT.npz` writes `tokens`, random prompts, and their
`logits`; `problems`, names of tensors with the reason, is empty if each weight of the loaded model is the code times
the scale in the files. If it fails, its last line is a JSON object with the `problem`, and the `errno` if the
operating system failed. It reads safetensors only, and runs no code of the checkpoint.
"""

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from compression_runner.errors import cause
from compression_runner.formats.transformers_model import LOADING

WORDS: Final = ".weight_packed"
WEIGHT: Final = ".weight"
"""INT8 codes that are not packed."""
SCALE: Final = ".weight_scale"
SHAPE: Final = ".weight_shape"
ORDER: Final = ".weight_g_idx"
"""Groups in another order than that of the inputs, which only the logits check."""
TOLERANCE: Final = 1e-5


SEED: Final = 20261130
PROMPTS, PROMPT_TOKENS = 2, 32


def main(folder: str, result: str) -> None:
    """Load, check, answer."""
    loader: Any = AutoModelForCausalLM
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, loaded = loader.from_pretrained(
            folder,
            **LOADING,
            ignore_mismatched_sizes=True,  # their names are in the result
        )
    vocabulary = model.get_input_embeddings().weight.shape[0]
    tokens = np.random.default_rng(SEED).integers(0, vocabulary, (PROMPTS, PROMPT_TOKENS))
    # The library dequantizes the weights at the first call.
    with torch.no_grad():
        logits = model.train(False)(torch.from_numpy(tokens), use_cache=False).logits.float().numpy()
    problems = [*_unused(loaded), *_differing(model, Path(folder))]
    with Path(result).open("wb") as file:
        np.savez(file, allow_pickle=False, tokens=tokens, logits=logits, problems=np.array(problems, np.str_))


def _unused(loaded: dict[str, Any]) -> Iterator[str]:
    """Yield the tensors that the library did not use, and those that it made up."""
    yield from (f"{name}: the library does not use it" for name in sorted(loaded["unexpected_keys"]))
    yield from (f"{name}: the checkpoint does not have it" for name in sorted(loaded["missing_keys"]))
    yield from (f"{item[0]}: the library expects another shape" for item in sorted(loaded["mismatched_keys"]))


def _differing(model: torch.nn.Module, folder: Path) -> Iterator[str]:
    """Yield the quantized layers whose loaded weights are not the codes times the scales in the files."""
    tensors = _quantized_tensors(folder)
    modules = dict(model.named_modules())
    for name in sorted({key.removesuffix(end) for key in tensors for end in (WORDS, WEIGHT) if key.endswith(end)}):
        parts = (SCALE, SHAPE) if name + WORDS in tensors else (SCALE,)
        absent = [name + part for part in parts if name + part not in tensors]
        if absent or name not in modules:
            yield f"{absent[0] if absent else name}: {'the checkpoint' if absent else 'the model'} does not have it"
            continue
        codes = _codes(tensors[name + WORDS], tensors[name + SHAPE]) if SHAPE in parts else tensors[name + WEIGHT]
        scales, order = tensors[name + SCALE], tensors.get(name + ORDER)
        problem = _unusable(codes, scales, order)
        if problem:
            yield f"{name}{SCALE}: {problem}"
            continue
        if order is not None:
            continue
        weight, expected = getattr(modules[name], "weight", None), _dequantized(codes, scales)
        if weight is None or weight.shape != expected.shape:
            yield f"{name}{SCALE}: the loaded layer has no weight of shape {list(expected.shape)}"
        elif not torch.allclose(weight.float(), expected, rtol=TOLERANCE, atol=0):
            yield f"{name}{SCALE}: the loaded weights are not the codes times these scales"


def _quantized_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Return the parts of quantized layers: packed codes, or weights of INT8, with scales, shapes and orders."""
    tensors = {}
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                is_code = name.endswith(WEIGHT) and file.get_slice(name).get_dtype() == "I8"
                if is_code or name.endswith((WORDS, SCALE, SHAPE, ORDER)):
                    tensors[name] = file.get_tensor(name)
    return tensors


def _unusable(codes: torch.Tensor, scales: torch.Tensor, order: torch.Tensor | None) -> str:
    """Return why scales cannot be those of a working layer; "" if they can.

    The loaded weights and the judged ones come from the same scales, so a comparison of both does not show it.
    """
    damaged = int((~torch.isfinite(scales.float())).sum())
    if damaged:
        return f"{damaged} of {scales.numel()} scales are not finite"
    if order is None:
        of_codes = scales.repeat_interleave(codes.shape[1] // scales.shape[1], 1)
    else:
        of_codes = scales[:, order.long()]
    erased = int(((of_codes == 0) & (codes != 0)).sum())
    return f"a scale of 0 erases {erased} of {codes.numel()} codes" if erased else ""


def _codes(words: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """Return the signed codes (outputs, inputs) by the format's definition: the first in the lowest bits of a word."""
    outputs, inputs = (int(size) for size in shape)
    bits = 32 * words.shape[1] // inputs
    shifts = torch.arange(0, 32, bits, dtype=torch.int32)
    codes = (words[..., None] >> shifts) & ((1 << bits) - 1)
    return codes.reshape(outputs, -1)[:, :inputs] - (1 << (bits - 1))


def _dequantized(codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Return the weights (outputs, inputs): each code times the scale of its group."""
    return codes.float() * scales.float().repeat_interleave(codes.shape[1] // scales.shape[1], 1)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - libraries do not document what they raise for a damaged checkpoint
        number = error.errno if isinstance(error, OSError) else None
        print(json.dumps({"problem": cause(error), "errno": number}))  # noqa: T201
        sys.exit(1)
