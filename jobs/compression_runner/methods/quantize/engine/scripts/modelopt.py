"""Quantize with ModelOpt: arguments SETTINGS RESULT, two JSON files. Runs with its own interpreter only.

SETTINGS: source and target (folders), bits (8), tokens (a JSON file with lists of token ids). RESULT gets the versions
of the used packages. Weights and inputs of linear layers become FP8 (E4M3FN) with one scale per tensor, from its
largest magnitude.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import modelopt.torch.quantization as mtq  # type: ignore[import-not-found]
import torch
from modelopt.torch.export import export_hf_checkpoint  # type: ignore[import-not-found]
from transformers import AutoModelForCausalLM

VERSIONS = ("nvidia-modelopt", "torch", "transformers")


def main(settings_file: Path, result_file: Path) -> None:
    """Quantize, and save a model for vLLM."""
    settings = json.loads(settings_file.read_text())
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_pretrained(
        settings["source"], dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
    model.to("cuda" if torch.cuda.is_available() else "cpu").train(False)
    rows = json.loads(Path(settings["tokens"]).read_text())

    def calibrate(observed: Any) -> None:
        with torch.no_grad():
            for row in rows:
                observed(torch.tensor([row], device=observed.device))

    quantized = mtq.quantize(model, mtq.FP8_DEFAULT_CFG, calibrate)
    with torch.no_grad():
        export_hf_checkpoint(quantized, export_dir=settings["target"])
    result_file.write_text(json.dumps({"versions": {name: version(name) for name in VERSIONS}}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
