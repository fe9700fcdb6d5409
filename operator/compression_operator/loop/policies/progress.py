"""How far a running pod has come."""

from typing import Final

from compression_operator.loop import steps
from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies.scheduling import current_pod, is_running
from compressionjob.parts import COMPRESS, MEASURE, PUBLISH, RUN

_SHARE: Final = {RUN: (0.0, 1.0), COMPRESS: (0.0, 0.7), MEASURE: (70.0, 0.3), PUBLISH: (0.0, 1.0)}
"""Where a part begins in the per cent of the job, and its share of them."""


def show(draft: Draft) -> Plan | None:
    """Copy a running pod's progress into the status; a pod that starts again does not take back what was reached."""
    progress, pod = draft.observed.progress, current_pod(draft.observed.pods)
    if progress is None or pod is None or not is_running(pod):
        return None
    begins, share = _SHARE[draft.observed.job.part]
    reached = max(int(begins + share * progress.percent), draft.before.progress or 0)
    draft.set(stage=progress.stage)
    draft.reach(reached)
    if draft.observed.job.part != PUBLISH and progress.steps:
        # What publishes after a review tells of no step but its own.
        draft.set(steps=steps.kept(progress.steps))
    return None
