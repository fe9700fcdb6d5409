"""How far a running pod has come."""

from compression_operator.draft import Draft


def show(draft: Draft) -> None:
    """Copy what the pod told last into the status; a pod that starts again does not take back what was reached."""
    progress = draft.observed.progress
    if progress is None:
        return
    reached = max(progress.percent, draft.before.progress or 0)
    draft.set(stage=progress.stage, progress=reached)
