"""The progress of a running pod."""

from typing import Final

from compression_operator.loop import steps
from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies.scheduling import current_pod, is_running
from compressionjob.job_parts import COMPRESS, MEASURE, PUBLISH, RUN

_SHARE: Final = {RUN: (0.0, 1.0), COMPRESS: (0.0, 0.7), MEASURE: (70.0, 0.3), PUBLISH: (0.0, 1.0)}
"""The percentage of the job at which a part begins, and the part's share of it."""


def show(draft: Draft) -> ReconcilePlan | None:
    """Copy a running pod's progress into the status; the percentage never decreases, even if the pod restarts."""
    progress, pod = draft.observed.progress, current_pod(draft.observed.pods)
    if progress is None or pod is None or not is_running(pod):
        return None
    begins, share = _SHARE[draft.observed.job.part]
    reached = max(int(begins + share * progress.percent), draft.before.progress or 0)
    draft.set(stage=progress.stage)
    draft.reach(reached)
    if draft.observed.job.part != PUBLISH and progress.steps:
        # A pod that publishes after a review reports only its own step.
        draft.set(steps=steps.kept(progress.steps))
    return None
