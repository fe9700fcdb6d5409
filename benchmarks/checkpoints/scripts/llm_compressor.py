"""llm-compressor's GPTQ, as its documentation shows it: MODEL TARGET TOKENS GROUP_SIZE. Runs in its own environment.

Its preset W4A16 has groups of 128, so its scheme is written out with another group.
"""

import json
import sys
from pathlib import Path

from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme  # type: ignore[import-untyped]
from datasets import Dataset
from llmcompressor import oneshot  # type: ignore[import-not-found]
from llmcompressor.modifiers.gptq import GPTQModifier  # type: ignore[import-not-found]
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(source: str, target: str, tokens: str, group_size: str) -> None:
    """Quantize all linear layers but the output layer, and save the model for vLLM."""
    rows = json.loads(Path(tokens).read_text())
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    weights = QuantizationArgs(num_bits=4, type="int", strategy="group", group_size=int(group_size), symmetric=True)
    scheme = QuantizationScheme(targets=["Linear"], weights=weights)
    oneshot(
        model=model,
        processor=tokenizer,
        recipe=GPTQModifier(config_groups={"group_0": scheme}, ignore=["lm_head"]),
        dataset=Dataset.from_dict({"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]}),
        num_calibration_samples=len(rows),
        max_seq_length=len(rows[0]),
    )
    model.save_pretrained(target, save_compressed=True)
    tokenizer.save_pretrained(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
