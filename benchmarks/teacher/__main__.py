"""`python -m benchmarks.teacher [--seeds N] [NAME ...]`: measure the benefit of a teacher, with its interval.

Both students start from the same weights, see the same samples in the same order and have the same budget; one learns
from the teacher's answers, the other from labels alone. The interval is Student's t over the paired seeds.
"""

import argparse
import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from scipy import stats

from benchmarks.methods.cases import EXAMPLES, Case, prepared
from benchmarks.methods.staleness import Current, current, made_with, methods_of, note, stale_rows
from benchmarks.tooling import CACHE
from compression_runner.evaluation.machine.description import machine

HERE: Final = Path(__file__).parent
WORK: Final = CACHE / "benchmark-teacher"
CONFIDENCE: Final = 0.95
STUDENTS: Final = {
    "fashion-structured-int8": {"training": 20_000, "evaluation": 10_000, "epochs": 4},
    "spam-student": {"training": 100_000, "evaluation": 1_000, "epochs": 3},
}
"""Example -> samples and epochs for a run of minutes, without its last stage, quantization."""
LOSSES: Final = {
    "teacher": {"output": "1", "hidden": "0", "labels": "0.2", "temperature": "4"},
    "labels": {"output": "0", "hidden": "0", "labels": "1"},
}
METRICS: Final = {"fashion-structured-int8": "accuracy", "spam-student": "f1"}


def main() -> int:
    """Train every student with every seed, with and without a teacher."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.teacher", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="paired runs of each student (default 3)")
    parser.add_argument("names", nargs="*", default=[*STUDENTS], choices=[*STUDENTS], help="students; all by default")
    arguments = parser.parse_args()
    seeds, file = arguments.seeds, HERE / "results.json"
    before = json.loads(file.read_text()) if file.is_file() else {"students": {}, "madeWith": {}}
    results: dict[str, Any] = before | {"machine": machine().to_json()}
    for name in arguments.names:
        case = prepared(Case.named(name))
        scores = {way: [_score(case, way, seed) for seed in range(seeds)] for way in LOSSES}
        results["students"][name] = {"metric": METRICS[name], "scores": scores, "difference": _difference(scores)}
        results["madeWith"][name] = made_with(methods_of(_report(case)), [case])
    file.write_text(json.dumps(results, indent=1) + "\n")
    (HERE / "README.md").write_text(render(results, current()))
    return 0


def _score(case: Case, way: str, seed: int) -> float:
    """Return the quality of one student on the evaluation data."""
    manifest = copy.deepcopy(case.manifest)
    spec, sizes = manifest["spec"], STUDENTS[case.name]
    spec["pipeline"] = [stage for stage in spec["pipeline"] if "quantize" not in stage]
    distill = next(stage["distill"] for stage in spec["pipeline"] if "distill" in stage)
    distill["losses"] = LOSSES[way]
    distill["training"] |= {"seed": seed, "epochs": sizes["epochs"]}
    spec["data"]["training"]["limit"] = sizes["training"]
    spec["data"]["evaluation"]["limit"] = sizes["evaluation"]
    spec["sla"] = {"quality": {"metric": METRICS[case.name], "maxDrop": "0.5"}}
    spec["benchmark"] = {**spec.get("benchmark", {}), "timeLimit": "2s"}
    workdir = WORK / case.name
    workdir.mkdir(parents=True, exist_ok=True)
    place = EXAMPLES / f".{case.name}-{way}-{seed}.yaml"
    place.write_text(yaml.safe_dump(manifest))
    try:
        command = [sys.executable, "-m", "compression_runner", "run", str(place), "--workdir", str(workdir)]
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if ended.returncode not in (0, 3):
            raise SystemExit(f"{case.name} with {way}, seed {seed}, ended with {ended.returncode}")
    finally:
        place.unlink()
    score = float(_report(case)["compressed"]["quality"][METRICS[case.name]])
    sys.stderr.write(f"{case.name}: {way}, seed {seed}: {score:.4f}\n")
    return score


def _report(case: Case) -> dict[str, Any]:
    """Return the report of the last run of an example."""
    report: dict[str, Any] = json.loads((WORK / case.name / "report.json").read_text())
    return report


def _difference(scores: dict[str, list[float]]) -> dict[str, float]:
    """Return the mean of the paired differences, teacher minus labels, with its interval."""
    apart = np.asarray(scores["teacher"]) - np.asarray(scores["labels"])
    mean, error = float(apart.mean()), float(apart.std(ddof=1) / np.sqrt(len(apart)))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(apart) - 1)) * error
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


def render(results: dict[str, Any], now: Current) -> str:
    """Return the page."""
    lines = []
    for name, student in results["students"].items():
        means = {way: float(np.mean(values)) for way, values in student["scores"].items()}
        apart, seeds = student["difference"], len(student["scores"]["teacher"])
        lines.append(
            f"| {name} | {student['metric']} | {means['teacher']:.4f} | {means['labels']:.4f} | "
            f"{apart['mean']:+.4f} ({apart['low']:+.4f} to {apart['high']:+.4f}) | {seeds} |\n"
        )
    head = (
        "# Value of a teacher\n\nThe same student, samples, order and budget, with and without a teacher "
        "(`python -m benchmarks.teacher`).\nThe interval is that of Student's t over paired seeds, at 95 %. An "
        "interval that contains 0 shows no difference.\n\n"
        "| student | metric | with teacher | labels alone | difference | seeds |\n|---|---|---|---|---|---|\n"
    )
    stale = note(stale_rows(results["madeWith"], now), "python -m benchmarks.teacher NAME")
    return head + "".join(lines) + f"\nMeasured on {results['machine']['cpu']}.\n" + stale


if __name__ == "__main__":
    sys.exit(main())
