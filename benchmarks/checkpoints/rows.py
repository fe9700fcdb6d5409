"""The rows of the table: each is a checkpoint that one tool makes from the same model and the same calibration data."""

import hashlib
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.checkpoints.inputs import Inputs
from benchmarks.methods.staleness import made_with
from benchmarks.tooling import interpreter_of, timed
from compression_runner.artifact import MARKER, Format
from compression_runner.evaluation.machine.noise import noise_between, noise_notes, read_noise
from compression_runner.methods.registry import METHODS

HERE: Final = Path(__file__).parent
SCRIPTS: Final = HERE / "scripts"
REQUIREMENTS: Final = {
    "llm-compressor": HERE.parents[1] / "images" / "engines" / "llm-compressor.txt",
    "autoround": HERE / "autoround-requirements.txt",
}
"""Tools with an environment of their own, and its pinned packages."""
GROUP_SIZE: Final = 64
OURS: Final = "quantize vllm"
"""The method behind this project's rows."""


@dataclass(frozen=True)
class Row:
    """A tool with its settings; without a script, the row is the unquantized model."""

    name: str
    script: str = ""
    environment: str = ""
    """The tool's own environment; empty for this project's."""
    settings: Sequence[str] = ()
    format: Format = "compressed-tensors"

    @property
    def slug(self) -> str:
        """The name of the row's folder."""
        return "-".join(self.name.lower().replace(",", "").split())

    @property
    def is_ours(self) -> bool:
        """Whether this project made the checkpoint."""
        return bool(self.script) and not self.environment

    def key(self, inputs: str) -> str:
        """Return the hash of everything that the checkpoint depends on."""
        parts = [inputs, self.name, *self.settings, str(GROUP_SIZE)]
        if self.script:
            parts.append((SCRIPTS / self.script).read_text())
        if self.environment:
            parts.append(REQUIREMENTS[self.environment].read_text())
        if self.is_ours:
            parts.append(str(METHODS["quantize", "vllm"].version))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def made_with(self) -> dict[str, Any]:
        """Return the record that shows whether the row is stale."""
        return made_with({OURS} if self.is_ours else ())


ROWS: Final = (
    Row("unquantized", format="transformers"),
    Row("this project, rtn", "ours.py", settings=("rtn",)),
    Row("this project, gptq", "ours.py", settings=("gptq",)),
    Row("this project, awq", "ours.py", settings=("awq",)),
    Row("llm-compressor, gptq", "llm_compressor.py", "llm-compressor"),
    Row("AutoRound", "autoround.py", "autoround", settings=("50", "4")),
)


def make(row: Row, inputs: Inputs, target: Path) -> dict[str, Any]:
    """Write the checkpoint of a row, and return its cost; none for the unquantized model.

    Raises ToolFailedError if the tool fails.
    """
    shutil.rmtree(target, ignore_errors=True)
    if not row.script:
        shutil.copytree(inputs.model, target)
        return {}
    python = interpreter_of(row.environment, REQUIREMENTS[row.environment]) if row.environment else sys.executable
    arguments = [inputs.model, target, inputs.tokens, GROUP_SIZE, *row.settings]
    # Other tools must not see the packages of this project.
    more = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"} | ({"PYTHONPATH": ""} if row.environment else {})
    before = read_noise()
    cost = timed([str(python), str(SCRIPTS / row.script), *map(str, arguments)], more, target.with_name("log.txt"))
    return {
        "seconds": cost.wall_seconds,
        "cpuSeconds": cost.cpu_seconds,
        "peakBytes": cost.peak_bytes,
        "notes": noise_notes(noise_between(before, read_noise())),
    }


def size_of(folder: Path) -> int:
    """Return the bytes of all files of a checkpoint, without the record that this project adds."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and file.name != MARKER)
