"""How far a running pod has come."""

from typing import Final

from compression_operator.loop.draft import Draft
from compressionjob.parts import COMPRESS, MEASURE, PUBLISH, RUN

_SHARE: Final = {RUN: (0.0, 1.0), COMPRESS: (0.0, 0.7), MEASURE: (70.0, 0.3), PUBLISH: (0.0, 1.0)}
"""Where a part begins in the per cent of the job, and its share of them."""


def show(draft: Draft) -> None:
    """Copy what the pod told last into the status; a pod that starts again does not take back what was reached."""
    progress = draft.observed.progress
    if progress is None:
        return
    begins, share = _SHARE[draft.observed.job.part]
    reached = max(int(begins + share * progress.percent), draft.before.progress or 0)
    draft.set(stage=progress.stage, progress=reached)
