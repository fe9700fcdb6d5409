"""What a job may not do with the CompressionStores of its namespace.

One code for the operator, before a pod starts, and for submit, before the job exists: both use the same words.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from compressionjob.conditions import INVALID_STORE, LOCATION_NOT_ALLOWED, STORE_NOT_FOUND, STORE_REQUIRED
from compressionjob.errors import FieldProblem
from compressionjob.hints import nearest
from compressionjob.locations import Hub, Location, Storage
from compressionjob.places import Place, places
from compressionjob.spec import CompressionJobSpec
from compressionjob.stores import AllowedLocation, CompressionStoreSpec

Stores = Mapping[str, CompressionStoreSpec | None]
"""The stores of a namespace: name -> spec, None for one that this version cannot read."""

REFUSED: Final = frozenset({STORE_REQUIRED, LOCATION_NOT_ALLOWED})
"""Reasons that end a job; it waits for the platform team with the others."""

_MOST_LISTED: Final = 3
_IN_STORES: Final = ("s3", "pvc")
_BESIDE: Final = ".writer"
"""What the runner appends to the name of a written folder for its locks (S3), beside the folder."""


@dataclass(frozen=True)
class StoreProblem:
    """Something that a job may not do, with the reason that its status gives."""

    reason: str
    problem: FieldProblem


def named_stores(spec: CompressionJobSpec) -> dict[str, str]:
    """Return the stores that a job names, by their fields."""
    parts = _parts(spec)
    return {f"{field}.store": part.store for field, part in parts.items() if part is not None and part.store}


def store_problems(spec: CompressionJobSpec, stores: Stores, *, begun: bool = False) -> list[StoreProblem]:
    """Return what is wrong with a job in a namespace with these stores; what ends the job comes first.

    A job that has ``begun`` and names no store goes on as it began, though its namespace has stores by now.
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
    """Return what to do about a store that is not there: those there are, and the one that was meant."""
    names = sorted(known)
    meant = nearest(name, names)
    there = f"there are: {', '.join(names)}" if names else "there is none yet: ask the platform team to create it"
    return f"there is no CompressionStore {name!r} in this namespace; {there}" + (
        f"; did you mean {meant!r}?" if meant else ""
    )


def allowing(location: Location, allowed: Iterable[AllowedLocation]) -> AllowedLocation | None:
    """Return the prefix that decides about a location: the longest around it, and the stricter one of two alike."""
    around = [item for item in allowed if contains(item.location, location)]
    return max(around, key=lambda item: (len(_parts_of(item.location)), item.access == "ReadOnly"), default=None)


def contains(prefix: Location, location: Location) -> bool:
    """Return whether a location is a folder or in it; names are compared whole."""
    inner, outer = _parts_of(location), _parts_of(prefix)
    same = (prefix.scheme, prefix.container) == (location.scheme, location.container)
    return same and inner[: len(outer)] == outer


def _parts_of(location: Location) -> list[str]:
    return [part for part in location.path.split("/") if part]


def _parts(spec: CompressionJobSpec) -> dict[str, Storage | Hub | None]:
    """Return the settings that may name a Secret, an endpoint or a store, by their fields."""
    return {
        "spec.storage": spec.storage,
        "spec.model.storage": spec.model.storage,
        "spec.data.evaluation.storage": spec.data.evaluation.storage,
        "spec.output.storage": spec.output.storage,
        "spec.hub": spec.hub,
    }


def _required(spec: CompressionJobSpec, stores: Stores) -> Iterator[StoreProblem]:
    """What a job says itself that only a store may say, and locations without a store."""
    names = f"one of this namespace's CompressionStores ({', '.join(sorted(stores))})"
    fields = set()
    for field, part in _parts(spec).items():
        for name, value in part.to_json().items() if part is not None else ():
            if name != "store":
                fields.add(field)
                remedy = f"only a store may name it here; remove it, and set {field}.store to {names}"
                yield StoreProblem(STORE_REQUIRED, FieldProblem(f"{field}.{name}", str(value), remedy))
    for place in places(spec):
        if place.location.scheme in _IN_STORES and not place.storage.store and place.storage_field not in fields:
            fields.add(place.storage_field)
            remedy = f"{place.field} ({place.location}) needs {names}"
            yield StoreProblem(STORE_REQUIRED, FieldProblem(f"{place.storage_field}.store", "", remedy, missing=True))


def _not_allowed(spec: CompressionJobSpec, stores: Stores) -> Iterator[StoreProblem]:
    for place in places(spec):
        store = stores.get(place.storage.store or "")
        remedy = _remedy(place, store) if store is not None and place.location.scheme in _IN_STORES else ""
        if remedy:
            yield StoreProblem(LOCATION_NOT_ALLOWED, FieldProblem(place.field, str(place.location), remedy))
    hub = spec.hub.store if spec.hub is not None else None
    named = stores.get(hub or "")
    if hub and named is not None and named.hub is None:
        remedy = "this CompressionStore has no hub; name another, or ask the platform team"
        yield StoreProblem(LOCATION_NOT_ALLOWED, FieldProblem("spec.hub.store", hub, remedy))


def _remedy(place: Place, store: CompressionStoreSpec) -> str:
    """Return what to do about a location that a store does not allow; "" where it does."""
    location, name = place.location, place.storage.store
    decides = allowing(location, store.locations)
    if decides is None:
        return f"the CompressionStore {name!r} does not allow it; it allows {_listed(store, written=place.written)}"
    if not place.written:
        return ""
    if decides.access != "ReadWrite":
        return f"the CompressionStore {name!r} allows only reading there; it allows {_listed(store, written=True)}"
    if not contains(decides.location, location.sibling(_BESIDE)) or not _parts_of(location):
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
