"""Quantize with llm-compressor: arguments SETTINGS RESULT, two JSON files. Runs with its own interpreter only.

SETTINGS: source and target (folders), bits, group_size, symmetric, algorithm (rtn, gptq, awq), tokens (a JSON file with
lists of token ids, or null). RESULT gets the versions of the used packages.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from compressed_tensors.quantization import (  # type: ignore[import-untyped]
    QuantizationArgs,
    QuantizationScheme,
)
from datasets import Dataset
from llmcompressor import oneshot  # type: ignore[import-not-found]
from llmcompressor.modifiers.quantization import (  # type: ignore[import-not-found]
    GPTQModifier,
    QuantizationModifier,
)
from transformers import AutoModelForCausalLM, AutoTokenizer

VERSIONS = ("llmcompressor", "compressed-tensors", "torch", "transformers")


def main(settings_file: Path, result_file: Path) -> None:
    """Quantize, and save a model for vLLM and transformers."""
    settings = json.loads(settings_file.read_text())
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(
        settings["source"], dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
    tokenizer = AutoTokenizer.from_pretrained(settings["source"], local_files_only=True)
    arguments: dict[str, Any] = {}
    if settings["tokens"]:
        rows = json.loads(Path(settings["tokens"]).read_text())
        arguments = {
            "dataset": Dataset.from_dict({"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]}),
            "num_calibration_samples": len(rows),
            "max_seq_length": max(len(row) for row in rows),
        }
    oneshot(model=model, processor=tokenizer, recipe=[_recipe(settings)], **arguments)
    model.save_pretrained(settings["target"], save_compressed=True)
    result_file.write_text(json.dumps({"versions": {name: version(name) for name in VERSIONS}}))


def _recipe(settings: dict[str, Any]) -> Any:
    """Return a recipe for all linear layers except the output layer, by groups of inputs."""
    weights = QuantizationArgs(
        num_bits=settings["bits"],
        type="int",
        strategy="group",
        group_size=settings["group_size"],
        symmetric=settings["symmetric"],
    )
    scheme = {"config_groups": {"weights": QuantizationScheme(targets=["Linear"], weights=weights)}}
    if settings["algorithm"] == "gptq":
        return GPTQModifier(ignore=["lm_head"], **scheme)
    if settings["algorithm"] == "awq":
        from llmcompressor.modifiers.awq import AWQModifier  # type: ignore[import-not-found]

        return AWQModifier(ignore=["lm_head"], **scheme)
    return QuantizationModifier(ignore=["lm_head"], **scheme)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
