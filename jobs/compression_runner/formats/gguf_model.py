"""Convert a GGUF file to a Transformers directory: float32 weights, configuration and tokenizer.

Quantized weights are dequantized exactly.
"""

import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from compression_runner.errors import BadRecipe, cause

FIELD: Final = "spec.model.source"
LOCAL: Final = {"local_files_only": True, "trust_remote_code": False}


def to_transformers(gguf: Path, into: Path) -> torch.nn.Module:
    """Write the model to `into` and return it.

    Raises BadRecipe if Transformers cannot load the file, or a weight is missing or unknown.
    """
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name, **LOCAL)
        # from_pretrained would do the same, but requires accelerate.
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
        tensors = _tensors(gguf, model)
        incompatible = model.load_state_dict(tensors, strict=False, assign=True)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, **LOCAL)
    except (ValueError, KeyError, RuntimeError, OSError, ImportError, NotImplementedError) as error:
        raise _refused(gguf, f"transformers cannot load it: {cause(error)}") from error
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    wrong = [*(name for name in incompatible.missing_keys if name not in tied), *incompatible.unexpected_keys]
    if wrong:
        raise _refused(gguf, f"its tensors are not those of a {type(model).__name__}: {', '.join(wrong[:3])}")
    model.tie_weights()
    model.save_pretrained(into)
    tokenizer.save_pretrained(into)
    module: torch.nn.Module = model
    return module


def _tensors(gguf: Path, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return every tensor by its name in Transformers, in float32."""
    with redirect_stderr(io.StringIO()):  # a progress bar that cannot be disabled
        loaded = load_gguf_checkpoint(str(gguf), return_tensors=True, model_to_load=model, torch_dtype=torch.float32)  # type: ignore[no-untyped-call]
    tensors: dict[str, torch.Tensor] = loaded["tensors"]
    return {name: tensor.to(torch.float32).contiguous() for name, tensor in tensors.items()}


def _refused(gguf: Path, problem: str) -> BadRecipe:
    remedy = "name the model's original in safetensors, or export it to ONNX yourself"
    return BadRecipe("UnsupportedModel", FIELD, gguf.name, problem, remedy)
