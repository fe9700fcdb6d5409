"""Checks of a job against the CompressionStores of its namespace.

The operator runs them before a pod starts, and `kubectl compress submit` before it creates the job. So both give the
same messages.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from compressionjob.conditions import INVALID_STORE, LOCATION_NOT_ALLOWED, STORE_NOT_FOUND, STORE_REQUIRED
from compressionjob.errors import FieldProblem
from compressionjob.hints import nearest
from compressionjob.job_locations import JobLocation, job_locations
from compressionjob.locations import Hub, Location, Storage
from compressionjob.spec import CompressionJobSpec
from compressionjob.stores import AllowedLocation, CompressionStoreSpec

Stores = Mapping[str, CompressionStoreSpec | None]
"""The stores of a namespace: name -> spec, None for a store that this version cannot read."""

REFUSED: Final = frozenset({STORE_REQUIRED, LOCATION_NOT_ALLOWED})
"""Reasons that end a job. With the others it waits for the platform team."""

_MOST_LISTED: Final = 3
_IN_STORES: Final = ("s3", "pvc")
_LOCK_SUFFIX: Final = ".writer"
"""Suffix of the runner's lock folder (S3), which is beside the folder that it writes."""


@dataclass(frozen=True)
class StoreProblem:
    """A violation of store rules, with the reason for the job's status."""

    reason: str
    problem: FieldProblem


def named_stores(spec: CompressionJobSpec) -> dict[str, str]:
    """Return the stores that a job names, by field."""
    parts = _parts(spec)
    return {f"{field}.store": part.store for field, part in parts.items() if part is not None and part.store}


def store_problems(spec: CompressionJobSpec, stores: Stores, *, begun: bool = False) -> list[StoreProblem]:
    """Return the problems of a job in a namespace with these stores; those that end the job come first.

    A job that has ``begun`` without a store continues without one, even if its namespace has stores now.
    """
    refused = [*(() if begun or not stores else _required(spec, stores)), *_not_allowed(spec, stores)]
    waiting = []
    for field, name in named_stores(spec).items():
        if name not in stores:
            waiting.append(StoreProblem(STORE_NOT_FOUND, FieldProblem(field, "", no_such_store(name, stores))))
        elif stores[name] is None:
            remedy = f"the CompressionStore {name!r} is not valid"
            waiting.append(StoreProblem(INVALID_STORE, FieldProblem(field, "", remedy)))
    return [*refused, *waiting]


def no_such_store(name: str, known: Iterable[str]) -> str:
    """Return the message for a missing store: the known stores, and the one with the nearest name."""
    names = sorted(known)
    suggestion = nearest(name, names)
    there = f"there are: {', '.join(names)}" if names else "there is none yet: ask the platform team to create it"
    return f"there is no CompressionStore {name!r} in this namespace; {there}" + (
        f"; did you mean {suggestion!r}?" if suggestion else ""
    )


def deciding_prefix(location: Location, allowed: Iterable[AllowedLocation]) -> AllowedLocation | None:
    """Return the prefix that decides about a location: the longest that contains it; of equal ones the stricter."""
    around = [item for item in allowed if contains(item.location, location)]
    return max(around, key=lambda item: (len(_parts_of(item.location)), item.access == "ReadOnly"), default=None)


def contains(prefix: Location, location: Location) -> bool:
    """Return whether a location is the prefix or below it. Names are compared whole."""
    inner, outer = _parts_of(location), _parts_of(prefix)
    same = (prefix.scheme, prefix.container) == (location.scheme, location.container)
    return same and inner[: len(outer)] == outer


def _parts_of(location: Location) -> list[str]:
    return [part for part in location.path.split("/") if part]


def _parts(spec: CompressionJobSpec) -> dict[str, Storage | Hub | None]:
    """Return the settings that may name a Secret, an endpoint or a store, by field."""
    return {
        "spec.storage": spec.storage,
        "spec.model.storage": spec.model.storage,
        "spec.data.evaluation.storage": spec.data.evaluation.storage,
        "spec.output.storage": spec.output.storage,
        "spec.hub": spec.hub,
    }


def _required(spec: CompressionJobSpec, stores: Stores) -> Iterator[StoreProblem]:
    """Yield settings of a job that only a store may have here, and locations without a store."""
    names = f"one of this namespace's CompressionStores ({', '.join(sorted(stores))})"
    fields = set()
    for field, part in _parts(spec).items():
        for name, value in part.to_json().items() if part is not None else ():
            if name != "store":
                fields.add(field)
                remedy = f"in this namespace only stores may set it; remove it, and set {field}.store to {names}"
                yield StoreProblem(STORE_REQUIRED, FieldProblem(f"{field}.{name}", str(value), remedy))
    for place in job_locations(spec):
        if place.location.scheme in _IN_STORES and not place.storage.store and place.storage_field not in fields:
            fields.add(place.storage_field)
            remedy = f"{place.field} ({place.location}) needs {names}"
            yield StoreProblem(STORE_REQUIRED, FieldProblem(f"{place.storage_field}.store", "", remedy, missing=True))


def _not_allowed(spec: CompressionJobSpec, stores: Stores) -> Iterator[StoreProblem]:
    for place in job_locations(spec):
        store = stores.get(place.storage.store or "")
        remedy = _remedy(place, store) if store is not None and place.location.scheme in _IN_STORES else ""
        if remedy:
            yield StoreProblem(LOCATION_NOT_ALLOWED, FieldProblem(place.field, str(place.location), remedy))
    hub = spec.hub.store if spec.hub is not None else None
    named = stores.get(hub or "")
    if hub and named is not None and named.hub is None:
        remedy = "this CompressionStore has no hub; name another, or ask the platform team"
        yield StoreProblem(LOCATION_NOT_ALLOWED, FieldProblem("spec.hub.store", hub, remedy))


def _remedy(place: JobLocation, store: CompressionStoreSpec) -> str:
    """Return the remedy for a location that a store does not allow, "" for an allowed one."""
    location, name = place.location, place.storage.store
    decides = deciding_prefix(location, store.locations)
    if decides is None:
        return f"the CompressionStore {name!r} does not allow it; it allows {_listed(store, written=place.written)}"
    if not place.written:
        return ""
    if decides.access != "ReadWrite":
        return f"the CompressionStore {name!r} allows only reading there; it allows {_listed(store, written=True)}"
    if not contains(decides.location, location.sibling(_LOCK_SUFFIX)) or not _parts_of(location):
        return f"name a folder below {decides.prefix}: the job also writes beside its destination"
    inside = next((item for item in store.locations if _protects(item, location)), None)
    return f"the CompressionStore {name!r} allows only reading in {inside.prefix}; write elsewhere" if inside else ""


def _protects(item: AllowedLocation, location: Location) -> bool:
    return item.access == "ReadOnly" and contains(location, item.location)


def _listed(store: CompressionStoreSpec, *, written: bool) -> str:
    """Return the prefixes that may be read, or written."""
    fitting = [item.prefix for item in store.locations if not written or item.access == "ReadWrite"]
    more = f" and {len(fitting) - _MOST_LISTED} more" if len(fitting) > _MOST_LISTED else ""
    doing = "writing to" if written else "reading"
    return f"{doing} {', '.join(fitting[:_MOST_LISTED]) or 'nothing'}{more}"
