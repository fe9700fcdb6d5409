"""`python -m benchmarks.families [FAMILY ...]`: tries each family with each method, and writes docs/models.md.

FAMILY is a name or task/name; all by default. What was tried before with the same sources, libraries and family is not
tried again: what was cut off goes on. `--plant FAULT` plants a fault on the runner's side, and ends with 1 where the
comparison with the library does not catch it. `--table` tries nothing, and writes the table of what was tried.
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
from typing import Any, Final

from benchmarks.families.catalog import Family, families
from benchmarks.families.checking import check
from benchmarks.families.methods import Variant, variants
from benchmarks.families.planting import FAULTS
from benchmarks.families.processes import Server
from benchmarks.families.store import COMPARISON, Store, publish, published, sources_digest
from benchmarks.families.table import TABLE, render
from benchmarks.families.trying import attempt

LIMIT_SECONDS: Final = 600.0
PLANTED: Final = "planted"


def main() -> int:
    """Try what is missing; 1 where there is a fault, or one that was planted is not caught."""
    given = _arguments()
    chosen = [one for one in families() if not given.families or {one.name, one.title} & {*given.families}]
    store = Store(sources_digest())
    if given.plant:
        return _plant(given.plant, store)
    tried = [one for one in (None, *variants()) if not given.method or _title(one) in given.method]
    faults = 0 if given.table else _try(store, chosen, tried, given)
    publish(store, families(), variants())
    TABLE.write_text(render(families(), variants(), published(families())))
    return 1 if faults else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__)
    parser.add_argument("families", nargs="*", help="names of samples/families.yaml, or task/name")
    parser.add_argument("--method", action="append", choices=[_title(one) for one in (None, *variants())])
    parser.add_argument("--again", action="store_true", help="try also what was tried before")
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


def _try(store: Store, chosen: Sequence[Family], tried: Sequence[Variant | None], given: argparse.Namespace) -> int:
    """Try families beside each other, the methods of each in turn; return how many faults there are."""
    _alone()
    server = Server(given.limit)

    def whole(family: Family) -> int:
        folder = store.root / "work" / family.task / family.name
        outcomes = [_outcome(store, server, family, one, folder, again=given.again) for one in tried]
        shutil.rmtree(folder, ignore_errors=True)
        return sum(outcome["status"] == "fault" for outcome in outcomes)

    with ThreadPoolExecutor(given.jobs) as pool:
        return sum(pool.map(whole, chosen))


def _outcome(
    store: Store, server: Server, family: Family, variant: Variant | None, folder: Path, *, again: bool
) -> dict[str, Any]:
    """Return what came of a pair, or of the comparison with the library; tried only where that is not known."""
    kept = None if again else store.get(family, variant)
    if kept is not None:
        return kept
    began = time.monotonic()
    outcome = _called(server, family, variant, folder)
    store.put(family, variant, outcome)
    _say(f"{family.title} {_title(variant)}: {outcome['status']} {outcome['line']} ({time.monotonic() - began:.0f} s)")
    return outcome


def _called(server: Server, family: Family, variant: Variant | None, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    log = folder / f"{_title(variant).replace(' ', '-')}.log"
    if variant is None:
        wrong = server.call(log, check, family, folder, result)
    else:
        wrong = server.call(log, attempt, family, variant, folder, result)
    if wrong or not result.is_file():
        return {"status": "fault", "line": wrong or "it ended without an outcome", "stage": ""}
    outcome: dict[str, Any] = json.loads(result.read_text())
    return outcome


def _plant(name: str, store: Store) -> int:
    """Plant one fault, or all; return how many are not caught."""
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
    """Let jobs wait for no other run on this machine: their latencies are not what is looked at."""
    os.environ["COMPRESSION_LOCK"] = str(Path(tempfile.gettempdir()) / f"compression-families-{os.getpid()}.lock")
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _title(variant: Variant | None) -> str:
    return variant.title if variant else COMPARISON


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
