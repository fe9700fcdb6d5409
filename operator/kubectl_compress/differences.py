"""Where two specs differ, field by field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compressionjob.errors import InvalidSpec
from compressionjob.group import API_VERSION, JOB_KIND
from compressionjob.spec import DEFAULT_RETRIES, parse_job


@dataclass(frozen=True)
class Difference:
    """A field with its value in both specs; "" where it is not set."""

    field: str
    first: str
    second: str


def completed(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec with the contract's defaults; as it is where the contract does not know it."""
    try:
        job = parse_job({"apiVersion": API_VERSION, "kind": JOB_KIND, "metadata": {"name": "x"}, "spec": dict(spec)})
    except InvalidSpec:
        return spec
    # What earlier versions wrote into each stored job, and what holds without a default of the runtime.
    return {"retries": DEFAULT_RETRIES} | job.spec.to_json()


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """The fields of two specs that differ once both have their defaults, those of a part of the spec together."""
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
