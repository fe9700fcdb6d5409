"""`python -m benchmarks.pack [--rounds N]`: every codec on MiniLM's weights; results.json and the tables."""

import argparse
import importlib.metadata
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

# One thread everywhere, said before any library is loaded.
os.environ["OMP_NUM_THREADS"] = "1"

HERE: Final = Path(__file__).parent
DOCS: Final = HERE.parents[1] / "docs" / "methods" / "pack.md"
LIBRARIES: Final = ("numpy", "zstandard", "lz4", "zipnn")


def main() -> int:
    """Run the comparison."""
    from benchmarks.methods.staleness import current
    from benchmarks.pack.table import write_tables
    from compression_runner.evaluation.machine.description import machine

    parser = argparse.ArgumentParser(prog="python -m benchmarks.pack", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of everything; the fastest counts (default 3)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as work:
        measured = _measure(Path(work), rounds)
    results = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine().to_json(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "rounds": rounds,
        **measured,
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    write_tables((HERE / "README.md", DOCS), results, current())
    sys.stderr.write("wrote benchmarks/pack/results.json, its README.md and docs/methods/pack.md\n")
    return 0


def _measure(work: Path, rounds: int) -> dict[str, Any]:
    from benchmarks.methods.staleness import made_with
    from benchmarks.pack.subjects import METHODS_BEFORE, TYPES, make
    from benchmarks.pack.timing import file_to_file, in_memory, refusal, zipnn_itself
    from compression_runner.methods.pack.codecs import CODECS

    subjects = make(work)
    in_one_go: dict[str, Any] = {}
    files: dict[str, Any] = {}
    for name, artifact in subjects.items():
        sys.stderr.write(f"{name}\n")
        if name in TYPES:
            sides = {"auto": in_memory(artifact, "auto"), "zipnn": zipnn_itself(artifact, TYPES[name])}
            # Alternate, and repeat more often than files: these speeds are compared.
            for _ in range(2 * rounds):
                for side in sides.values():
                    side.measure()
            in_one_go[name] = {side: packer.figures for side, packer in sides.items()}
        packers = {codec: file_to_file(artifact, codec, work) for codec in CODECS}
        for _ in range(rounds):
            for packer in packers.values():
                packer.measure()
        files[name] = {codec: packer.figures for codec, packer in packers.items()}
    return {
        "inMemory": in_one_go,
        "files": files,
        "zipnnOnINT8": refusal(subjects["INT8 ONNX, by channel"]),
        "madeWith": {name: made_with({"pack", *METHODS_BEFORE.get(name, ())}) for name in subjects},
    }


if __name__ == "__main__":
    sys.exit(main())
