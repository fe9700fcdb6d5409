"""`python -m benchmarks.methods [NAME ...]`: run the local examples in full, and write results.json and the table.

An example that was run before with the same code, machine and libraries is skipped, so an interrupted benchmark
continues. `--table` only writes the table from the existing results. `--check` lists the stale results of all
benchmarks, and exits with 1 if there are any.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.methods.cases import CASES, Case, prepared
from benchmarks.methods.published import stale_results, summary
from benchmarks.methods.running import run_case
from benchmarks.methods.staleness import current
from benchmarks.methods.store import Results
from benchmarks.methods.table import TABLE, render

HERE: Final = Path(__file__).parent


def main() -> int:
    """Run the missing examples; return 1 if a run ended without a report, or if there are stale results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.methods", description=__doc__)
    parser.add_argument("names", nargs="*", help="examples to run; all by default")
    parser.add_argument("--again", action="store_true", help="run also what was run before")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table")
    parser.add_argument("--check", action="store_true", help="run nothing, list the stale results")
    arguments = parser.parse_args()
    if arguments.check:
        return _check()
    results = Results(HERE / "results.json")
    unknown = sorted(set(arguments.names) - {case.name for case in CASES})
    if unknown:
        parser.error(f"no example is called {unknown[0]}; there are: {', '.join(case.name for case in CASES)}")
    broken = [] if arguments.table else _run(results, arguments.names, again=arguments.again)
    TABLE.write_text(render(results.content, json.loads((HERE / "pods.json").read_text()), current()))
    return 1 if broken else 0


def _run(results: Results, names: list[str], *, again: bool) -> list[str]:
    chosen = [case for case in CASES if not names or case.name in names]
    broken = []
    for index, case in enumerate(chosen):
        key = case.fingerprint()
        if not again and results.has(case.name, key):
            _say(f"[{index + 1}/{len(chosen)}] {case.name}: run before")
            continue
        _say(f"[{index + 1}/{len(chosen)}] {case.name}")
        start = time.monotonic()
        entry = run_case(prepared(case))
        if entry is None:
            broken.append(case.name)
            continue
        results.put(case.name, key, entry)
        _say(f"    {entry['verdict']}, {time.monotonic() - start:.0f} s")
    return broken


def _check() -> int:
    stale = stale_results(current())
    sys.stdout.write(summary(stale))
    return 1 if stale else 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def case_names() -> list[str]:
    """Return the names of all examples."""
    return [case.name for case in CASES]


__all__ = ["Case", "case_names", "main"]

if __name__ == "__main__":
    sys.exit(main())
