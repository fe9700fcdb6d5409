"""Render results.json as the table of README.md."""

from pathlib import Path
from typing import Any, Final

from benchmarks.methods.staleness import Current, note, stale_rows

README: Final = Path(__file__).with_name("README.md")
RESULTS: Final = Path(__file__).with_name("results.json")

_HEAD: Final = """# Comparison with other tools

`python -m benchmarks.peers` quantizes the models of some examples with this project, with onnxruntime's own functions
(as its documentation shows, per channel), with Intel Neural Compressor for ONNX and with Microsoft Olive, on the same
calibration data. It measures all results against the same float graph, interleaved, at batch 1. The tables are made
from `results.json`, and CI compares the two. *Lost* is the loss of quality. *Seconds* and *peak* are those of the
tool's whole process. This project also measures in its process, so its *seconds* are those of the stage.

"""


def render(results: dict[str, Any], now: Current) -> str:
    """Return the page."""
    parts = [_HEAD]
    for title, rows in results["subjects"].items():
        parts.append(f"## {title}\n\n| tool | size | lost | p50 | seconds | peak |\n|---|---|---|---|---|---|\n")
        parts.extend(_line(name, row) for name, row in rows.items())
        parts.append("\n")
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    machine = results["machine"]
    parts.append(f"{machine['cpu']}, {machine['usableCpus']} CPUs, {results['date']}; {versions}.")
    if results["notes"]:
        parts.append(" During the measurement: " + "; ".join(results["notes"]) + ".")
    return "".join(parts) + "\n" + note(stale_rows(results["madeWith"], now), "python -m benchmarks.peers")


def _line(name: str, row: dict[str, Any]) -> str:
    if "problem" in row:
        return f"| {name} | {row['problem']} | | | | |\n"
    lost, speed = row["lost"], row["speedup"]
    peak = f"{row['peakBytes'] / 1e6:.0f} MB" if "peakBytes" in row else ""
    return (
        f"| {name} | {row['sizeRatio']:.3f} | {row['metric']} {lost['value']:.4f} ({lost['low']:.4f} to "
        f"{lost['high']:.4f}) | {speed['value']:.2f}x ({speed['low']:.2f} to {speed['high']:.2f}) | "
        f"{row['seconds']:.1f} | {peak} |\n"
    )
