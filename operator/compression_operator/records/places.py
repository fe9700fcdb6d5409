"""Where the pods of a job write what others may write too: the destination and the reports.

A place is text that can be compared: what it begins with, up to a "/", is around it. Checkpoints are none: jobs share
them on purpose, and what two of them write there under one name is the same. A pod that removes checkpoints has a
place of its own kind, which keeps jobs that share them from starting.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from compression_operator.records.reading import Raw
from compressionjob.locations import Location, parse_location
from compressionjob.mounts import in_claim

AWS = "aws"
CLEANING = "clean:"
"""Before the place of checkpoints that a pod removes."""


def places_of(
    spec: Raw, namespace: str, claims: Mapping[str, str] | None = None, endpoints: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return the places of a job's spec, which may be invalid: then there are none.

    ``claims`` are those that its runtime mounts, by their paths: file:// below one of them is that claim's.
    ``endpoints`` are those of the CompressionStores that it may name.
    """
    output = spec.get("output") or {}
    storage = output.get("storage") or spec.get("storage") or {}
    try:
        destination = parse_location(str(output.get("destination")))
        reports = parse_location(str(output["reports"])) if output.get("reports") else destination.sibling("-report")
    except ValueError:
        return ()
    endpoint = str(storage.get("endpoint") or (endpoints or {}).get(str(storage.get("store"))) or AWS)
    written = (in_claim(location, claims or {}) for location in (destination, reports))
    return tuple(dict.fromkeys(_place(location, endpoint, namespace) for location in written))


def checkpoints_of(spec: Raw, namespace: str) -> str:
    """Return the place of a job's checkpoints; "" where its spec is invalid. A store stands for its endpoint."""
    output = spec.get("output") or {}
    storage = output.get("storage") or spec.get("storage") or {}
    try:
        if output.get("checkpoints"):
            location = parse_location(str(output["checkpoints"]))
        else:
            location = parse_location(str(output.get("destination"))).sibling("-checkpoints")
    except ValueError:
        return ""
    return _place(location, str(storage.get("endpoint") or storage.get("store") or AWS), namespace)


def around(place: str) -> Iterator[str]:
    """Every place around one, the nearest first."""
    while "/" in place:
        place = place.rpartition("/")[0]
        yield place


def to_annotation(places: tuple[str, ...]) -> str:
    """Return places as an annotation's text."""
    return json.dumps(places, separators=(",", ":"))


def from_annotation(text: object) -> tuple[str, ...]:
    """Return the places in an annotation; none where it is missing or was written by somebody else."""
    try:
        found: Any = json.loads(str(text))
    except (ValueError, RecursionError):
        return ()
    return tuple(str(item) for item in found) if isinstance(found, list) else ()


def _place(location: Location, endpoint: str, namespace: str) -> str:
    owner = quote(endpoint.lower().rstrip("/"), safe="") if location.scheme == "s3" else namespace
    parts = (location.scheme, owner, location.container, location.path.strip("/"))
    return "/".join(part for part in parts if part)
