"""The subjects of the comparison: examples that this project has run, whose models and data other tools get too."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx

from benchmarks.methods.cases import Case, prepared
from benchmarks.methods.running import WORK, run_case
from compression_runner.calibration.feeding import graph_inputs
from compression_runner.dataset import SampleSet
from compression_runner.dataset.files import find_data
from compression_runner.formats.onnx_files import GRAPH
from compression_runner.pipeline.job_data import JobData
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.storage import Stores
from compressionjob.data import DataRole
from compressionjob.spec import CompressionJobSpec, parse_job

Kind = Literal["dynamic", "static", "smooth"]
BATCH: Final = 16


@dataclass(frozen=True)
class Subject:
    """An example, and the equivalent kind of quantization in other tools."""

    example: str
    kind: Kind
    title: str


SUBJECTS: Final = (
    Subject("minilm-int8", "dynamic", "MiniLM, INT8, dynamic ranges"),
    Subject("minilm-static-int8", "static", "MiniLM, INT8, static ranges"),
    Subject("fashion-static-int8", "static", "CNN on Fashion-MNIST, INT8, static ranges"),
)


@dataclass(frozen=True)
class Ready:
    """A subject after this project's run: the float graph, the result, and the data."""

    subject: Subject
    spec: CompressionJobSpec
    full: Path
    ours: Path
    seconds: float
    """Seconds of the quantizing stage alone."""
    made_with: dict[str, Any]
    evaluation: SampleSet
    calibration: SampleSet | None

    def write_batches(self, folder: Path) -> None:
        """Write the calibration samples as .npz batches by input name, which every tool can read."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.calibration is None:
            return
        inputs, length = graph_inputs(onnx.load(self.full)), self.spec.benchmark.sequence_length
        # All of one shape, which some tools require.
        for start in range(0, len(self.calibration) - BATCH + 1, BATCH):
            feed = self.calibration.batch(list(range(start, start + BATCH)), inputs, length)
            np.savez(folder / f"{start:04d}.npz", **feed)  # type: ignore[arg-type]


def ready(subject: Subject) -> Ready:
    """Run the example as a user does, reusing earlier stages.

    Raises RuntimeError if it ends without a report.
    """
    case = prepared(Case.named(subject.example))
    figures = run_case(case)
    if figures is None:
        raise RuntimeError(f"the example {subject.example} ended without a report")
    workdir = WORK / subject.example
    stages = _stages(workdir)
    job = parse_job(case.manifest)
    checkpoints = workdir / "checkpoints"
    full = checkpoints / stages["export"]["fingerprint"]
    data = _data(job.spec, case.path.parent, workdir / "peers")
    calibrates = job.spec.data.calibration is not None
    return Ready(
        subject,
        job.spec,
        full / GRAPH,
        checkpoints / stages["quantize"]["fingerprint"] / GRAPH,
        float(stages["quantize"]["seconds"]),
        figures["madeWith"],
        data.samples("evaluation", full),
        data.samples("calibration", full) if calibrates else None,
    )


def _stages(workdir: Path) -> dict[str, Any]:
    report = json.loads((workdir / "report.json").read_text())
    return {stage["method"]: stage for stage in report["stages"]}


def _data(spec: CompressionJobSpec, base: Path, workdir: Path) -> JobData:
    locations = of_trial(spec, Stores(base=base), workdir)
    files = {role: find_data(store, spec.model.task, _field(role)) for role, store in locations.data.items()}

    def none(*_: object) -> Any:
        raise RuntimeError("no teacher is needed here")

    return JobData(spec, locations.data, files, locations.scratch, none, none)


def _field(role: DataRole) -> str:
    return f"spec.data.{role}.source"
