"""What counts as a wrong verdict, and the table of it."""

import json
from pathlib import Path
from typing import Any

from benchmarks.truth.runs import CONFIDENCE
from benchmarks.truth.table import END, START, counts_of, table, wrong_of

FOLDER = Path("benchmarks/truth")


def _run(seed: int, *verdicts: str) -> dict[str, Any]:
    return {
        "seed": seed,
        "verdicts": {"p50": dict(zip(("kept", "at", "broken"), verdicts, strict=True))},
        "disturbed": seed == 1,
        "otherShare": 0.2,
        "lostShare": 0.1,
        "queries": 600,
        "seconds": 1.5,
    }


def test_wrong_is_a_fail_of_what_is_kept_a_pass_of_what_is_broken_and_any_decision_on_the_limit() -> None:
    found = counts_of([_run(1, "Fail", "Pass", "Pass"), _run(2, "Pass", "Fail", "Fail")])
    cases = found["verdicts"]["p50"]
    assert {case: wrong_of(case, counts) for case, counts in cases.items()} == {"kept": 1, "at": 2, "broken": 1}
    assert (found["runs"], found["disturbed"]) == (2, 1)


def test_inconclusive_is_never_wrong() -> None:
    cases = counts_of([_run(1, *["Inconclusive"] * 3)])["verdicts"]["p50"]
    assert not any(wrong_of(case, counts) for case, counts in cases.items())


def test_the_readme_is_made_from_the_results() -> None:
    results = json.loads((FOLDER / "results.json").read_text())
    page = (FOLDER / "README.md").read_text()
    assert table(results) == page.split(START)[1].split(END)[0].strip()


def test_committed_verdicts_are_wrong_no_oftener_than_they_say() -> None:
    results = json.loads((FOLDER / "results.json").read_text())
    for found in results["runs"].values():
        for name, cases in found["verdicts"].items():
            for case, counts in cases.items():
                assert wrong_of(case, counts) / found["runs"] <= 1 - CONFIDENCE + 1e-9, (name, case)
