"""Try one model with one method: `plan`, and `run` if `plan` accepts it, as on the command line."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from benchmarks.families.building import build
from benchmarks.families.catalog import Family
from benchmarks.families.methods import Variant
from benchmarks.families.rows import data_of
from compressionjob.exit_codes import ExitCode
from compressionjob.group import API_VERSION, JOB_KIND
from compressionjob.tasks import TASKS

Status = Literal["judged", "refused", "fault"]
JUDGED: Final = (ExitCode.DONE, ExitCode.NOT_MET)
REFUSED: Final = (ExitCode.INVALID, ExitCode.RECIPE)
LIMITS: Final = {"size": {"maxRatio": "0.99"}}
MAX_LINE: Final = 300
LOG: Final = logging.getLogger("compression_runner")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a pair: judged against its limits, refused by `plan`, or a fault; `line` is the message.

    `stage` is the command or comparison that showed a fault.
    """

    status: Status
    line: str
    stage: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the outcome for the results file."""
        return {"status": self.status, "line": self.line, "stage": self.stage}


class Said(logging.Handler):
    """Collects the errors that commands log within the block."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def __enter__(self) -> "Said":
        LOG.addHandler(self)
        return self

    def __exit__(self, *_error: object) -> None:
        LOG.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Store a record."""
        self.records.append(record)

    @property
    def line(self) -> str:
        """The last error in one line, without the heading."""
        text = self.records[-1].getMessage() if self.records else "nothing was said"
        return " ".join(text.removeprefix("error: ").split())[:MAX_LINE]


def prepare(family: Family, folder: Path) -> None:
    """Write model and data of a family into its folder, if they are missing."""
    ready = folder / "model" / ".ready"
    if not ready.is_file():
        build(family, folder / "model")
        data_of(family.data, numbers=TASKS[family.task].predicts_number).save(folder / "data")
        ready.touch()


def manifest(family: Family, stage: Mapping[str, Any], place: Path) -> Path:
    """Write a job of one stage for a family's model, and return its path."""
    data = {"evaluation": "evaluation", "training": "training"}
    metric = TASKS[family.task].unlabelled[-1 if TASKS[family.task].running_text else 0]
    spec = {
        "model": {"source": "file://./model", "task": family.task},
        "data": {role: {"source": f"file://./data/{name}.parquet"} for role, name in data.items()},
        "pipeline": [dict(stage)],
        "sla": {**LIMITS, "quality": {"metric": metric, "maxDrop": "0.5"}},
        "benchmark": {"sequenceLength": 32, "timeLimit": "1s", "threads": 1},
        "output": {"destination": "file://./published"},
    }
    job = {"apiVersion": API_VERSION, "kind": JOB_KIND, "metadata": {"name": "family"}, "spec": spec}
    place.write_text(yaml.safe_dump(job, sort_keys=False))
    return place


def refusals(family: Family, variants: Sequence[Variant], folder: Path, result: Path) -> None:
    """Run `plan` for every pair of a family, and write the outcomes of the refused pairs to `result`."""
    prepare(family, folder)
    planned = {variant.title: _planned(family, variant, folder) for variant in variants}
    refused = {title: outcome.to_json() for title, outcome in planned.items() if outcome}
    result.write_text(json.dumps(refused))


def attempt(family: Family, variant: Variant, folder: Path, result: Path) -> None:
    """Try a pair, and write its outcome to `result`. An exception is a fault, and writes no outcome."""
    prepare(family, folder)
    outcome = _planned(family, variant, folder) or _ran(family, variant, folder)
    result.write_text(json.dumps(outcome.to_json()))


def _planned(family: Family, variant: Variant, folder: Path) -> Outcome | None:
    """Return the outcome of `plan`; None if it accepts the pair."""
    from compression_runner.commands.plan import plan

    with Said() as said:
        status = plan(_job(family, variant, folder), publish=False)
    if status == ExitCode.DONE:
        return None
    return Outcome("refused", said.line) if status in REFUSED else Outcome("fault", said.line, "plan")


def _ran(family: Family, variant: Variant, folder: Path) -> Outcome:
    from compression_runner.commands.run import run

    measure_shortly()
    work = folder / "work"
    with Said() as said:
        status = run(_job(family, variant, folder), work, publish=False)
    if status in JUDGED:
        return Outcome("judged", json.loads((work / "report.json").read_text())["verdict"])
    return Outcome("fault", said.line, "run")


def _job(family: Family, variant: Variant, folder: Path) -> Path:
    return manifest(family, variant.stage, folder / f"{variant.slug}.yaml")


def measure_shortly() -> None:
    """Shorten measurements to about a second: few blocks, few repeats, few resamples."""
    from compression_runner.evaluation.speed import sizing, throughput
    from compression_runner.evaluation.statistics import block_bootstrap, paired_bootstrap

    settings: list[tuple[Any, str, Any]] = [
        (sizing, "FIRST_SECONDS", 0.1),
        (block_bootstrap, "RESAMPLES", 300),
        (paired_bootstrap, "RESAMPLES", 500),
        (throughput, "THROUGHPUT_BLOCK_SECONDS", 0.02),
    ]
    for module, name, value in settings:
        setattr(module, name, value)
