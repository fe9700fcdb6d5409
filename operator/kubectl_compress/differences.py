"""The differing fields of two specs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compressionjob.errors import InvalidSpec
from compressionjob.group import API_VERSION, JOB_KIND
from compressionjob.spec import DEFAULT_RETRIES, parse_job


@dataclass(frozen=True)
class Difference:
    """A field with its value in both specs; "" if it is not set."""

    field: str
    first: str
    second: str


def completed(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the spec with the contract's defaults; unchanged if the contract does not accept it."""
    try:
        job = parse_job({"apiVersion": API_VERSION, "kind": JOB_KIND, "metadata": {"name": "x"}, "spec": dict(spec)})
    except InvalidSpec:
        return spec
    # Earlier versions wrote this default into each job; it applies without a default of the runtime.
    return {"retries": DEFAULT_RETRIES} | job.spec.to_json()


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Return the fields of two specs that differ after defaulting, grouped by the top-level field."""
    one, two = (dict(_leaves(completed(spec), "spec")) for spec in (first, second))
    fields = [*one, *(field for field in two if field not in one)]
    parts = list(dict.fromkeys(_part(field) for field in fields))
    fields.sort(key=lambda field: parts.index(_part(field)))
    return [
        Difference(field, one.get(field, ""), two.get(field, ""))
        for field in fields
        if one.get(field) != two.get(field)
    ]


def _part(field: str) -> str:
    return re.split(r"[.\[]", field)[1]


def _leaves(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in _leaves(item, f"{path}[{index}]")]
    return [(path, str(value).lower() if isinstance(value, bool) else str(value))]
