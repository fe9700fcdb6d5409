"""ModelOpt's part of the work: SETTINGS TOLD, two JSON files. Runs with its own interpreter only.

SETTINGS: source and target (folders), bits (8), tokens (a JSON file with lists of token ids). TOLD gets the versions of
what was used. Weights and inputs of linear layers become FP8 (E4M3FN) with one scale for each tensor, found as the
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


def main(asked: Path, told: Path) -> None:
    """Quantize, and save what vLLM loads."""
    settings = json.loads(asked.read_text())
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_pretrained(
        settings["source"], dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
    model.to("cuda" if torch.cuda.is_available() else "cpu").train(False)
    rows = json.loads(Path(settings["tokens"]).read_text())

    def see(looked_at: Any) -> None:
        with torch.no_grad():
            for row in rows:
                looked_at(torch.tensor([row], device=looked_at.device))

    quantized = mtq.quantize(model, mtq.FP8_DEFAULT_CFG, see)
    with torch.no_grad():
        export_hf_checkpoint(quantized, export_dir=settings["target"])
    told.write_text(json.dumps({"versions": {name: version(name) for name in VERSIONS}}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
