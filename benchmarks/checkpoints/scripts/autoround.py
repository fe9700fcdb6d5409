"""AutoRound for W4A16: MODEL TARGET TOKENS GROUP_SIZE ITERATIONS BATCH. Runs in its own environment.

ITERATIONS is the number of steps for each block of the model, and BATCH the number of windows in each step.
"""

import json
import sys
from pathlib import Path

import torch
from auto_round import AutoRound  # type: ignore[import-not-found]


def main(source: str, target: str, tokens: str, group_size: str, iterations: str, batch: str) -> None:
    """Tune and round all linear layers but the output layer, and save the model for vLLM."""
    windows = torch.tensor(json.loads(Path(tokens).read_text()))
    tuned = AutoRound(
        source,
        scheme="W4A16",
        group_size=int(group_size),
        iters=int(iterations),
        batch_size=int(batch),
        dataset=list(windows.split(1)),  # type: ignore[no-untyped-call]
        nsamples=len(windows),
        seqlen=windows.shape[1],
        device_map="cpu",
    )
    tuned.quantize_and_save(target, format="llm_compressor")


if __name__ == "__main__":
    main(*sys.argv[1:])
