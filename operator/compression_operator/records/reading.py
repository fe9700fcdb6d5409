"""Reading the parts that objects of Kubernetes have in common."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from compressionjob.cost import parse_price
from compressionjob.group import JOB_UID_LABEL
from compressionjob.schema import parse_duration

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """A condition of a Job or a pod."""

    reason: str
    message: str
    time: str = ""


def parse_time(text: str) -> datetime:
    """The time in a Kubernetes timestamp."""
    return datetime.fromisoformat(text)


def version(metadata: Raw) -> int:
    """Return an object's resourceVersion as a number."""
    # Versions of one object can be compared as integers: KEP-5504 makes official what every store has always done.
    return int(metadata.get("resourceVersion") or 0)


def job_uid(metadata: Raw) -> str:
    """Return the uid of the CompressionJob that a child Job or its pod works for: they bear it as a label."""
    return str((metadata.get("labels") or {}).get(JOB_UID_LABEL, ""))


def controller(metadata: Raw) -> Raw:
    """Return the owner reference of the controller, empty where there is none."""
    return next((ref for ref in metadata.get("ownerReferences") or () if ref.get("controller")), {})


def to_json(value: Raw) -> bytes:
    """Return a value as compact JSON."""
    return json.dumps(value, separators=(",", ":"), default=dict).encode()


def seconds(text: object) -> float | None:
    """Return a duration in seconds, None where there is none or it is invalid."""
    try:
        return parse_duration(text) if isinstance(text, str) else None
    except ValueError:
        return None  # validation says it, with the field's name


def amount(text: object) -> float | None:
    """Return a price, None where there is none or it is invalid."""
    try:
        return parse_price(str(text)) if isinstance(text, (str, int)) else None
    except ValueError:
        return None  # of a spec validation says it; of an annotation nobody but us should have written it


def mark(raw: Raw) -> Mark:
    """Return a condition."""
    return Mark(str(raw.get("reason", "")), str(raw.get("message", "")), str(raw.get("lastTransitionTime", "")))


def true_conditions(status: Raw) -> Mapping[str, Mark]:
    """Return the conditions that are True, by type."""
    return {item["type"]: mark(item) for item in status.get("conditions") or () if item.get("status") == "True"}
