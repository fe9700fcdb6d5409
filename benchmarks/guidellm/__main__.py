"""`python -m benchmarks.guidellm`: compare the serving benchmark's client with GuideLLM; write README.md."""

import importlib.metadata
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.guidellm.generators import REQUIREMENTS, TOKENS, Block, guidellm, serving_client
from benchmarks.guidellm.table import write_table
from compression_runner.evaluation.machine.description import machine
from compression_runner.evaluation.machine.noise import noise_between, noise_notes, read_noise
from compression_runner.inference.serving.server import ServerProcess
from tests.support.completions_server import command

HERE: Final = Path(__file__).parent
TTFT: Final = 0.05
GAP: Final = 0.01
REQUESTS: Final = {1: 60, 16: 320}
"""Requests of a block by the number of them at a time."""
PAIRS: Final = 3
OURS: Final = "compression-runner"
THEIRS: Final = "GuideLLM"


def main() -> int:
    """Measure, and write results.json and README.md."""
    before = read_noise()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        stand_in = command(work / "server.log", ttft=TTFT, ttft_more=0, gap=GAP, gap_more=0, length=TOKENS)
        with ServerProcess(stand_in) as server:
            loads = {str(at_a_time): _compared(server.url, at_a_time, work) for at_a_time in REQUESTS}
    noise = noise_between(before, read_noise())
    theirs = next(line for line in REQUIREMENTS.read_text().splitlines() if line.startswith("guidellm=="))
    results = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine().to_json(),
        "versions": {
            "mlcommons-loadgen": importlib.metadata.version("mlcommons-loadgen"),
            "guidellm": theirs.partition("==")[2],
        },
        "noise": noise.to_report().to_json(),
        "notes": noise_notes(noise),
        "loads": loads,
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    write_table(HERE / "README.md", results)
    sys.stderr.write("wrote benchmarks/guidellm/results.json and its README.md\n")
    return 0


def _compared(url: str, at_a_time: int, work: Path) -> dict[str, Any]:
    """Return what each generator adds to the times of the server, by block; the order of a pair alternates."""
    made: dict[str, list[Block]] = {OURS: [], THEIRS: []}
    for pair in range(PAIRS):
        for name in (OURS, THEIRS) if pair % 2 else (THEIRS, OURS):
            count = REQUESTS[at_a_time]
            if name == OURS:
                made[name].append(serving_client(url, at_a_time, count, seed=1 + pair))
            else:
                made[name].append(guidellm(url, at_a_time, count, work))
    return {name: [_added(block) for block in blocks] for name, blocks in made.items()}


def _added(block: Block) -> dict[str, float]:
    """Return what is added to TTFT and TPOT at p50 and p90, in seconds."""
    return {
        f"{name} {title}": round(float(np.quantile(values, quantile)) - own, 6)
        for name, values, own in (("TTFT", block.ttft, TTFT), ("TPOT", block.tpot, GAP))
        for title, quantile in (("p50", 0.5), ("p90", 0.9))
    }


if __name__ == "__main__":
    sys.exit(main())
