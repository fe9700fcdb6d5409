"""The parts of a job: what one child Job does of it, and in which order they come."""

from typing import Final, Literal

Part = Literal["Run", "Compress", "Measure", "Publish", "Clean"]
"""Run is a whole job in one pod. With ``sla.runtime``, or where jobs are measured alone on a node (``measuring``), it
is Compress in one and Measure in another. Publish comes after a review, when the pod that measured has long gone.
Clean removes files whose lifetime is over (``retention``), after the job has ended."""

RUN: Final = "Run"
COMPRESS: Final = "Compress"
MEASURE: Final = "Measure"
PUBLISH: Final = "Publish"
CLEAN: Final = "Clean"


def first_part(*, apart: bool) -> Part:
    """What the first child of a job does: all of it, or only its stages where another pod measures."""
    return COMPRESS if apart else RUN
