"""One model with one method: `plan`, and where that agrees `run`, as the command line does them."""

import json
import logging
from collections.abc import Mapping
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


@dataclass(frozen=True)
class Outcome:
    """What came of a pair: judged against its limits, refused by `plan` in one line, or a fault, which that line names.

    `stage` is where a fault showed.
    """

    status: Status
    line: str
    stage: str = ""

    def to_json(self) -> dict[str, str]:
        """As it is kept."""
        return {"status": self.status, "line": self.line, "stage": self.stage}


class Said(logging.Handler):
    """The errors that a command wrote."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)

    @property
    def line(self) -> str:
        """The last error in one line, without the heading."""
        text = self.records[-1].getMessage() if self.records else "nothing was said"
        return " ".join(text.removeprefix("error: ").split())[:MAX_LINE]


def prepare(family: Family, folder: Path) -> None:
    """Write model and data of a family into its folder, where they are not there."""
    ready = folder / "model" / ".ready"
    if not ready.is_file():
        build(family, folder / "model")
        data_of(family.data, numbers=TASKS[family.task].predicts_number).save(folder / "data")
        ready.touch()


def manifest(family: Family, stage: Mapping[str, Any], place: Path) -> Path:
    """Write a job of one stage for a family's model, and return where it lies."""
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


def attempt(family: Family, variant: Variant, folder: Path, result: Path) -> None:
    """Try a pair, and write its outcome to `result`. An exception leaves none: it is the fault that is looked for."""
    from compression_runner.commands.plan import plan
    from compression_runner.commands.run import run

    prepare(family, folder)
    job = manifest(family, variant.stage, folder / f"{variant.title.replace(' ', '-')}.yaml")
    said = Said()
    logging.getLogger("compression_runner").addHandler(said)
    status = plan(job, publish=False)
    if status in REFUSED:
        _write(Outcome("refused", said.line), result)
        return
    if status != ExitCode.DONE:
        _write(Outcome("fault", said.line, "plan"), result)
        return
    measure_shortly()
    work = folder / "work"
    status = run(job, work, publish=False)
    if status in JUDGED:
        verdict = json.loads((work / "report.json").read_text())["verdict"]
        _write(Outcome("judged", verdict), result)
    else:
        _write(Outcome("fault", said.line, "run"), result)


def measure_shortly() -> None:
    """Let measuring take a second: few blocks, few repeats, few resamples."""
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


def _write(outcome: Outcome, result: Path) -> None:
    result.write_text(json.dumps(outcome.to_json()))
