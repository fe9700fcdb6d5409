"""The URLs that the runners of a namespace connect to: of its stores now, and of jobs that began with others."""

from collections.abc import Iterator

from pydantic import ValidationError

from compression_operator.cache.cache import Cache
from compression_operator.records.job import JobRecord
from compressionjob.job_locations import job_locations
from compressionjob.spec import CompressionJobSpec
from compressionjob.stores import StoreConnection


class StoreEndpoints:
    """The endpoints of each namespace; what a job that has begun connects to is read once."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._begun: dict[str, dict[str, tuple[str, ...]]] = {}

    def now(self, namespace: str) -> list[str] | None:
        """Return the URLs of a namespace's stores, "" for a public service; None where it has no stores."""
        stores = self._cache.platform.stores.of(namespace).values()
        return [endpoint for store in stores for endpoint in store.endpoints] if stores else None

    def begun(self, namespace: str) -> list[str]:
        """Return the URLs that jobs of a namespace began with and keep until they are over, "" for a public service.

        A job that began before its namespace had stores counts as one that connects to a public service. A later
        author cannot bring that about, because a job that begins now must name a store.
        """
        known, begun = self._begun.pop(namespace, {}), {}
        for job in map(self._cache.job, self._cache.platform.stores.jobs_in(namespace)):
            if job is not None and job.begun:
                begun[job.uid] = known[job.uid] if job.uid in known else endpoints_of(job)
        if begun:
            self._begun[namespace] = begun
        return list(dict.fromkeys(endpoint for endpoints in begun.values() for endpoint in endpoints))


def endpoints_of(job: JobRecord) -> tuple[str, ...]:
    """Return the URLs of the stores that a job began with, as far as it uses them."""
    connections = {item.name: item for item in job.status().stores}
    try:
        spec = CompressionJobSpec.model_validate(job.spec())
    except ValidationError:  # by rules that came after the job began
        return tuple(dict.fromkeys(item.endpoint for item in connections.values() if item.endpoint))
    return tuple(dict.fromkeys(_endpoints(spec, connections)))


def _endpoints(spec: CompressionJobSpec, connections: dict[str, StoreConnection]) -> Iterator[str]:
    for place in job_locations(spec):
        if place.location.scheme == "s3":
            store = connections.get(place.storage.store or "")
            yield (store.endpoint or "") if store is not None else ""
        elif place.location.scheme == "hf" and spec.hub is not None:
            store = connections.get(spec.hub.store or "")
            yield (store.hub_endpoint or "") if store is not None else ""
