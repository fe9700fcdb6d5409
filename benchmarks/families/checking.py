"""Compare a model's baseline with its own library, batch by batch."""

import json
from pathlib import Path
from typing import Any, Final

from benchmarks.families import libraries
from benchmarks.families.baseline import Baseline, baseline_of
from benchmarks.families.catalog import Family
from benchmarks.families.comparison import Difference, difference
from benchmarks.families.planting import FAULTS, planted_folder
from benchmarks.families.rows import data_of
from benchmarks.families.trying import Outcome, prepare
from compression_runner.errors import RunnerError

BATCHES: Final = (1, 8)


def differences(baseline: Baseline, model: Path) -> dict[int, Difference]:
    """Return the difference between the baseline's and the library's answers, by batch size."""
    rows = data_of(baseline.family.data).evaluation
    return {
        batch: difference(
            baseline.answers(batch), libraries.answers(baseline.family.task, model, rows, baseline.windows, batch)
        )
        for batch in BATCHES
    }


def check(family: Family, folder: Path, result: Path, planted: str = "") -> None:
    """Compare a family's baseline with its library, with a planted fault or without one, and write the outcome.

    A baseline that the runner refuses is an outcome too: the pairs show whether `plan` refuses it.
    """
    prepare(family, folder)
    fault = FAULTS[planted] if planted else None
    given = planted_folder(fault, folder, folder / "planted") if fault else folder
    try:
        baseline = baseline_of(family, given)
    except RunnerError as error:
        result.write_text(json.dumps(Outcome("refused", " ".join(str(error).split())).to_json()))
        return
    by_batch = differences(fault.answering(baseline) if fault else baseline, folder / "model")
    result.write_text(json.dumps(_outcome(by_batch)))


def _outcome(by_batch: dict[int, Difference]) -> dict[str, Any]:
    wrong = [f"batch {batch}: {one.size:.2g} ({one.why})" for batch, one in by_batch.items() if not one.agrees]
    outcome = Outcome("fault" if wrong else "judged", "; ".join(wrong), "comparison" if wrong else "").to_json()
    # JSON has no infinity.
    return {**outcome, "largest": min(1e9, max(one.size for one in by_batch.values()))}
