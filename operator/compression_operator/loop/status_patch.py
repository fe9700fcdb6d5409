"""The smallest merge patch from one status to another."""

import json
from collections.abc import Mapping
from typing import Any

from compression_operator.records.job import JobRecord


def status_patch(job: JobRecord, status: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a merge patch that changes the job's status to ``status``, or None if nothing changes.

    The patch carries the resourceVersion of the record: the API server refuses it with Conflict if the job has changed
    since, instead of mixing two states.
    """
    before: dict[str, Any] = json.loads(job.status_json)
    changed = {key: value for key, value in status.items() if before.get(key) != value}
    removed = {key: None for key in before if key not in status}
    if not changed and not removed:
        return None
    # A merge patch would merge the old members of a mapping into the new one.
    replaced = {key: _replacing(before.get(key), value) for key, value in changed.items()}
    return {"metadata": {"resourceVersion": str(job.version)}, "status": replaced | removed}


def _replacing(before: object, after: object) -> object:
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return after
    return {key: None for key in before if key not in after} | {
        key: _replacing(before.get(key), value) for key, value in after.items()
    }
