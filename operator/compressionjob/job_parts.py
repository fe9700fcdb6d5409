"""The parts of a job. Each part runs in a child Job of its own."""

from typing import Final, Literal

Part = Literal["Run", "Compress", "Measure", "Publish", "Clean"]
"""Run is a whole job in one pod. With ``sla.runtime``, or where jobs are measured alone on a node (``measuring``),
Compress and Measure run in a pod each. Publish runs after a review, when the measuring pod no longer exists. Clean
removes files whose lifetime is over (``retention``), after the job has ended."""

RUN: Final = "Run"
COMPRESS: Final = "Compress"
MEASURE: Final = "Measure"
PUBLISH: Final = "Publish"
CLEAN: Final = "Clean"


def first_part(*, apart: bool) -> Part:
    """Return the first part of a job: Run, or Compress where another pod measures."""
    return COMPRESS if apart else RUN
