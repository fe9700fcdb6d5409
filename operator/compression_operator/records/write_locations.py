"""Locations that the pods of a job write to and that other jobs may write to as well: destination and reports.

A location is text such as "s3/ENDPOINT/BUCKET/PATH"; each prefix that ends before a "/" is a parent location. Folders
of checkpoints are not included: jobs share them on purpose, and files of one name have the same content. A pod that
removes checkpoints has a location of its own kind, which keeps jobs that share them from starting.
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
"""Prefix of the location of checkpoints that a pod removes."""


def write_locations_of(
    spec: Raw, namespace: str, claims: Mapping[str, str] | None = None, endpoints: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return the locations of a job's spec; none if the spec is invalid.

    ``claims`` are the mounted claims of its runtime, by path: a file:// location below a path belongs to that claim.
    ``endpoints`` are the endpoints of the CompressionStores that it may name, by name.
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
    return tuple(dict.fromkeys(_write_location(location, endpoint, namespace) for location in written))


def checkpoint_location_of(spec: Raw, namespace: str) -> str:
    """Return the location of a job's checkpoints, with a store's name for its endpoint; "" if the spec is invalid."""
    output = spec.get("output") or {}
    storage = output.get("storage") or spec.get("storage") or {}
    try:
        if output.get("checkpoints"):
            location = parse_location(str(output["checkpoints"]))
        else:
            location = parse_location(str(output.get("destination"))).sibling("-checkpoints")
    except ValueError:
        return ""
    return _write_location(location, str(storage.get("endpoint") or storage.get("store") or AWS), namespace)


def parents(location: str) -> Iterator[str]:
    """Yield all parent locations, the nearest first."""
    while "/" in location:
        location = location.rpartition("/")[0]
        yield location


def to_annotation(locations: tuple[str, ...]) -> str:
    """Return locations as the text of an annotation."""
    return json.dumps(locations, separators=(",", ":"))


def from_annotation(text: object) -> tuple[str, ...]:
    """Return the locations in an annotation; none if it is missing or malformed."""
    try:
        parsed: Any = json.loads(str(text))
    except (ValueError, RecursionError):
        return ()
    return tuple(str(item) for item in parsed) if isinstance(parsed, list) else ()


def _write_location(location: Location, endpoint: str, namespace: str) -> str:
    owner = quote(endpoint.lower().rstrip("/"), safe="") if location.scheme == "s3" else namespace
    segments = (location.scheme, owner, location.container, location.path.strip("/"))
    return "/".join(segment for segment in segments if segment)
