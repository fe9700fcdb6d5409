"""Readers of the fields that Kubernetes objects have in common."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from compressionjob.cost import parse_price
from compressionjob.field_types import parse_duration
from compressionjob.group import JOB_UID_LABEL

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ConditionRecord:
    """A condition of a Job or a pod, or the waiting state of a container."""

    reason: str
    message: str
    time: str = ""


def parse_time(text: str) -> datetime:
    """Parse a Kubernetes timestamp."""
    return datetime.fromisoformat(text)


def version(metadata: Raw) -> int:
    """Return an object's resourceVersion as a number."""
    # Versions of one object can be compared as integers: KEP-5504 specifies what all stores have always done.
    return int(metadata.get("resourceVersion") or 0)


def job_uid(metadata: Raw) -> str:
    """Return the uid of the CompressionJob in the label of a child Job or pod."""
    return str((metadata.get("labels") or {}).get(JOB_UID_LABEL, ""))


def controller(metadata: Raw) -> Raw:
    """Return the owner reference of the controller; empty if there is none."""
    return next((ref for ref in metadata.get("ownerReferences") or () if ref.get("controller")), {})


def to_json(value: Raw) -> bytes:
    """Return a value as compact JSON."""
    return json.dumps(value, separators=(",", ":"), default=dict).encode()


def seconds(text: object) -> float | None:
    """Return a duration in seconds; None if it is missing or invalid."""
    try:
        return parse_duration(text) if isinstance(text, str) else None
    except ValueError:
        return None  # validation reports it, with the field's name


def amount(text: object) -> float | None:
    """Return a price; None if it is missing or invalid."""
    try:
        return parse_price(str(text)) if isinstance(text, (str, int)) else None
    except ValueError:
        return None  # validation reports it in a spec; only the operator writes it in an annotation


def condition_record(raw: Raw) -> ConditionRecord:
    """Build the record of a condition."""
    return ConditionRecord(
        str(raw.get("reason", "")), str(raw.get("message", "")), str(raw.get("lastTransitionTime", ""))
    )


def true_conditions(status: Raw) -> Mapping[str, ConditionRecord]:
    """Return the conditions that are True, by type."""
    return {
        item["type"]: condition_record(item) for item in status.get("conditions") or () if item.get("status") == "True"
    }
