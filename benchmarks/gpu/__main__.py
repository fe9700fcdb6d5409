"""`python -m benchmarks.gpu [--out FILE] [--rehearse]`: check the code for GPUs on this machine's GPU, in minutes.

Calibration and distillation run on random weights, on the GPU and on the CPU, and must give the same; the driver's
readings are taken beside a second process. It needs no network, no model and no data. `--rehearse` takes small sizes,
and torch's CPU in the place of a GPU. Exits with 1 if a check fails, and with 2 without a GPU.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.gpu.calibration import check_calibration, failures
from benchmarks.gpu.readings import check_readings
from benchmarks.gpu.training import check_training
from compression_runner.evaluation.machine.description import machine

HERE: Final = Path(__file__).parent


def main() -> int:
    """Run all checks, and write their results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "results.json", help="file of the results")
    parser.add_argument("--rehearse", action="store_true", help="small sizes, on the CPU alone")
    arguments = parser.parse_args()
    if not arguments.rehearse and not torch.cuda.is_available():
        sys.stderr.write("torch sees no GPU; --rehearse runs the checks on the CPU\n")
        return 2
    start = time.monotonic()
    results = _checks(rehearse=arguments.rehearse)
    results["seconds"] = round(time.monotonic() - start, 1)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    failed = [*failures(results["calibration"])]
    failed += [f"{name}: did not pass" for name in ("training", "readings") if not results[name].get("passed", True)]
    sys.stdout.write("".join(f"{line}\n" for line in failed) or f"all checks passed in {results['seconds']} s\n")
    return 1 if failed else 0


def _checks(*, rehearse: bool) -> dict[str, Any]:
    gpu = torch.device("cpu" if rehearse else "cuda")
    results: dict[str, Any] = {
        "rehearsal": rehearse,
        "torch": torch.__version__,
        "gpu": None if rehearse else torch.cuda.get_device_name(gpu),
        "machine": machine().to_json(),
    }
    _say("GPTQ, AWQ, SparseGPT and Wanda on one layer")
    results["calibration"] = check_calibration(256 if rehearse else 4096, gpu)
    _say("distillation")
    with tempfile.TemporaryDirectory(prefix="gpu-checks-") as folder:
        sizes = (64, 64) if rehearse else (4096, 512)
        results["training"] = check_training(*sizes, Path(folder))
    if not rehearse:
        _say("readings of the driver, alone and beside another process")
    results["readings"] = {} if rehearse else check_readings(gpu)
    return results


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
