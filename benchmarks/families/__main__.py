"""`python -m benchmarks.families [FAMILY ...]`: try each family with each method, and write docs/models.md.

FAMILY is a name or task/name; all by default. An interrupted run continues: pairs that were tried with the same
sources, libraries and family are skipped. `--missing` tries only pairs without a published outcome, or with a fault: it
completes the table over several sessions while the code changes. Outcomes are published after each family. `--plant
FAULT` plants a fault on the runner's side, and exits with 1 if the comparison with the library does not detect it.
`--table` only writes the table of the published outcomes.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Final

from benchmarks.families.catalog import Family, diverse, families
from benchmarks.families.checking import check
from benchmarks.families.methods import Variant, variants
from benchmarks.families.planting import FAULTS
from benchmarks.families.processes import Server, Worker
from benchmarks.families.store import COMPARISON, Store, publish, published, sources_digest
from benchmarks.families.table import TABLE, render
from benchmarks.families.trying import attempt, refusals

LIMIT_SECONDS: Final = 600.0
PLANTED: Final = "planted"


def main() -> int:
    """Try the missing pairs; return 1 for a fault, or for a planted fault that is not detected."""
    given = arguments_of()
    chosen = [one for one in families() if not given.families or {one.name, one.title} & {*given.families}]
    store = Store(sources_digest())
    if given.plant:
        return _plant(given.plant, store)
    faults = 0 if given.table else Trial(store, given).of(diverse(chosen))
    publish(store, families(), variants())
    TABLE.write_text(render(families(), variants(), published(families())))
    return 1 if faults else 0


def arguments_of() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__)
    parser.add_argument("families", nargs="*", help="names of samples/families.yaml, or task/name")
    parser.add_argument("--method", action="append", choices=[_title(one) for one in (None, *variants())])
    parser.add_argument("--again", action="store_true", help="try also what was tried before")
    parser.add_argument(
        "--missing", action="store_true", help="try what has no published outcome, or a fault as its outcome"
    )
    parser.add_argument("--plan-only", action="store_true", help="publish what plan refuses, and run nothing")
    parser.add_argument("--plant", choices=[*FAULTS, "all"], help="plant a fault, and see that it is caught")
    parser.add_argument("--table", action="store_true", help="try nothing, write the table")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, metavar="SECONDS", help="for each job")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="families at the same time")
    given = parser.parse_args()
    known = {name for one in families() for name in (one.name, one.title)}
    unknown = sorted({*given.families} - known)
    if unknown:
        parser.error(f"samples/families.yaml has no family {unknown[0]}")
    return given


class Trial:
    """Tries families in parallel, and the methods of each in sequence."""

    def __init__(self, store: Store, given: argparse.Namespace) -> None:
        self._store, self._given = store, given
        self._tried = [one for one in (None, *variants()) if not given.method or _title(one) in given.method]
        self._before = published(families())
        self._server = Server(given.limit)
        self._writing = Lock()

    def of(self, chosen: Sequence[Family]) -> int:
        """Try the families, or only plan them; return how many faults there are."""
        _alone()
        with ThreadPoolExecutor(self._given.jobs) as pool:
            return sum(pool.map(self._plan if self._given.plan_only else self._run, chosen))

    def _plan(self, family: Family) -> int:
        """Keep and publish what `plan` refuses, and return how many faults it has itself."""
        waiting = [one for one in self._tried if one and self.known(family, one) is None]
        if not waiting:
            return 0
        folder = self._folder(family)
        result = folder / "plan.json"
        wrong = self._server.call(folder / "plan.log", refusals, family, waiting, folder, result)
        if wrong:
            _say(f"{family.title} plan: {wrong}")
            return 1
        refused = json.loads(result.read_text())
        for variant in waiting:
            if variant.title in refused:
                self._store.put(family, variant, refused[variant.title])
        self._publish(family)
        _say(f"{family.title} plan: {len(refused)} of {len(waiting)} refused")
        return sum(outcome["status"] == "fault" for outcome in refused.values())

    def _run(self, family: Family) -> int:
        """Try what is left of a family, publish its outcomes, and return how many of them are faults."""
        outcomes = []
        with self._server.worker() as worker:
            for variant in self._tried:
                outcome = self.known(family, variant)
                if outcome is None:
                    outcome = self._attempt(worker, family, variant)
                    self._store.put(family, variant, outcome)
                outcomes.append(outcome)
        if all(self.known(family, one) for one in (None, *variants())):
            shutil.rmtree(self._folder(family), ignore_errors=True)
        self._publish(family)
        return sum(outcome["status"] == "fault" for outcome in outcomes)

    def _publish(self, family: Family) -> None:
        with self._writing:
            publish(self._store, [family], variants())
            TABLE.write_text(render(families(), variants(), published(families())))

    def known(self, family: Family, variant: Variant | None) -> dict[str, Any] | None:
        """Return the known outcome of a pair; None if it must be tried."""
        if self._given.again:
            return None
        kept = self._store.get(family, variant)
        if kept is not None:
            return kept
        outcome: dict[str, Any] | None = self._before.get(family.title, {}).get(_title(variant))
        return outcome if self._given.missing and outcome and outcome["status"] != "fault" else None

    def _attempt(self, worker: Worker, family: Family, variant: Variant | None) -> dict[str, Any]:
        """Try a pair, or compare a baseline; a fault counts only if a fresh process shows it too."""
        began, was_fresh = time.monotonic(), worker.is_fresh
        outcome = self._called(worker, family, variant)
        if outcome["status"] == "fault" and not was_fresh:
            worker.close()
            outcome = self._called(worker, family, variant)
        seconds = time.monotonic() - began
        _say(f"{family.title} {_title(variant)}: {outcome['status']} {outcome['line']} ({seconds:.0f} s)")
        return outcome

    def _called(self, worker: Worker, family: Family, variant: Variant | None) -> dict[str, Any]:
        folder = self._folder(family)
        result = folder / "result.json"
        result.unlink(missing_ok=True)
        log = folder / f"{variant.slug if variant else COMPARISON}.log"
        if variant is None:
            wrong = worker.call(log, check, family, folder, result)
        else:
            wrong = worker.call(log, attempt, family, variant, folder, result)
        if wrong or not result.is_file():
            return {"status": "fault", "line": wrong or "it ended without an outcome", "stage": ""}
        outcome: dict[str, Any] = json.loads(result.read_text())
        return outcome

    def _folder(self, family: Family) -> Path:
        """Return the folder of a family's model, data and checkpoints; it stays until all its pairs are tried."""
        folder = self._store.root / "work" / self._store.sources[:16] / family.task / family.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _plant(name: str, store: Store) -> int:
    """Plant one fault, or all; return 1 if one is not detected."""
    _alone()
    server, missed = Server(LIMIT_SECONDS), 0
    for fault in FAULTS if name == "all" else (name,):
        family = next(one for one in families() if one.title == FAULTS[fault].family)
        folder = store.root / PLANTED / fault
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        result = folder / "result.json"
        wrong = server.call(folder / "log", check, family, folder, result, fault)
        outcome = {"status": "fault", "stage": "", "line": wrong} if wrong else json.loads(result.read_text())
        caught = outcome["stage"] == "comparison"
        missed += not caught
        _say(f"{fault} in {family.title}: {'caught' if caught else 'NOT caught'}: {outcome['line']}")
    return 1 if missed else 0


def _alone() -> None:
    """Do not let jobs wait for other runs on this machine: their latencies do not matter."""
    os.environ["COMPRESSION_LOCK"] = str(Path(tempfile.gettempdir()) / f"compression-families-{os.getpid()}.lock")
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _title(variant: Variant | None) -> str:
    return variant.title if variant else COMPARISON


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
