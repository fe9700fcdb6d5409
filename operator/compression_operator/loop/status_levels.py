"""Reduced statuses, for an API server that refuses the full one, and the condition that reports it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from compression_operator.loop.draft import timestamp
from compression_operator.records.job import JobRecord
from compressionjob.conditions import STATUS_COMPLETE, STATUS_REFUSED

Status = Mapping[str, Any]

MAX_SHORT: Final = 200
"""Maximum characters of a text in the least status: any schema accepts it."""
MAX_QUOTE: Final = 600
"""Maximum characters of the API server's message in the condition."""

_REMEDY: Final = "upgrade the CRDs to the operator's version"
_LEAST: Final = frozenset({"observedGeneration", "phase", "message", "completionTime", "conditions"})
_MINIMAL: Final = _LEAST | {
    "part", "measuringRuntime", "queue", "restarts", "activeTime", "verdict", "confidence", "artifact", "digest",
    "checkpoint", "report", "reportDigest", "review", "childJob", "childrenCreated", "retries", "startTime",
    "deadlineTime", "expectedCompletionTime", "cost", "usage", "notifications", "reason", "terms", "interruptions",
    "retention", "space", "stores",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Level:
    """A subset of the status: its fields, and the maximum length of a text."""

    name: str
    fields: frozenset[str]
    longest: int | None

    def reduce(self, stored: JobRecord, status: Status, refusal: str, now: datetime) -> dict[str, Any]:
        """Return the fields of this level, and the condition StatusComplete with the other names and ``refusal``."""
        kept = {name: value for name, value in status.items() if name in self.fields}
        conditions = [*_others(status), _incomplete(stored, status.keys() - kept.keys(), refusal, now)]
        kept["conditions"] = [item | {"message": item.get("message", "")[: self.longest]} for item in conditions]
        if "message" in kept:
            kept["message"] = kept["message"][: self.longest]
        return kept


LEVELS: Final = (Level("minimal", _MINIMAL, None), Level("least", _LEAST, MAX_SHORT))
"""From larger to smaller: all decisions use only fields of the minimal level."""


def without_marker(stored: JobRecord, status: Status) -> Status:
    """Return a status without the condition StatusComplete, unless its missing figures are lost for good."""
    if stored.ended or (status.get("verdict") and "compressed" not in status):
        return status
    return {**status, "conditions": _others(status)} if "conditions" in status else status


def _others(status: Status) -> list[dict[str, Any]]:
    return [item for item in status.get("conditions", ()) if item["type"] != STATUS_COMPLETE]


def _incomplete(stored: JobRecord, missing: set[str], refusal: str, now: datetime) -> dict[str, Any]:
    old = next((item for item in stored.status().conditions if item.type == STATUS_COMPLETE), None)
    reason = refusal.partition(" is invalid: ")[2] or refusal
    names = f"; left out: {', '.join(sorted(missing))}" if missing else ""
    return {
        "type": STATUS_COMPLETE,
        "status": "False",
        "reason": STATUS_REFUSED,
        "message": f"{_REMEDY}; the API server refused {reason[:MAX_QUOTE]}{names}",
        "lastTransitionTime": old.last_transition_time if old is not None else timestamp(now),
        "observedGeneration": stored.generation,
    }
