"""Objects of the platform team (runtimes, stores, namespaces), and the jobs that depend on them."""

from collections.abc import Mapping
from typing import Any, Final

from compression_operator.cache.checkpoint_users import CheckpointUsers
from compression_operator.cache.namespaces import NamespaceRecord, Namespaces
from compression_operator.cache.runtimes import Runtimes
from compression_operator.cache.stores import Stores
from compression_operator.cluster.resources import NAMESPACES, RUNTIMES, STORES, Resource
from compression_operator.records.job import JobRecord
from compression_operator.records.reading import Raw
from compression_operator.records.runtime import RuntimeRecord
from compression_operator.records.store import StoreRecord

PLATFORM: Final = (RUNTIMES, STORES, NAMESPACES)
PlatformRecord = RuntimeRecord | StoreRecord | NamespaceRecord


class Platform:
    """The records of these kinds, and the jobs that a change of one concerns."""

    def __init__(self) -> None:
        self.runtimes = Runtimes()
        self.stores = Stores()
        self.namespaces = Namespaces()
        self.checkpoint_users = CheckpointUsers()

    def get(self, resource: Resource, metadata: Raw) -> PlatformRecord | None:
        """Return the record of the object that has this name now."""
        if resource is RUNTIMES:
            return self.runtimes.get(metadata["name"])
        if resource is NAMESPACES:
            return self.namespaces.get(metadata["name"])
        return self.stores.get(metadata["namespace"], metadata["name"])

    def put(self, resource: Resource, raw: Raw) -> set[str]:
        """Store the present state of an object; return the uids of the jobs that this may concern."""
        if resource is RUNTIMES:
            return self.runtimes.put(RuntimeRecord.of(raw))
        if resource is NAMESPACES:
            changed = self.namespaces.put(raw)
            return self.stores.jobs_in(changed) if changed else set()
        return self.stores.put(StoreRecord.of(raw))

    def drop(self, resource: Resource, metadata: Raw) -> set[str]:
        """Forget an object that is gone; return the uids of the jobs that this may concern."""
        if resource is RUNTIMES:
            self.runtimes.drop(metadata["name"], metadata["uid"])
            return set()
        if resource is NAMESPACES:
            self.namespaces.drop(metadata["name"], metadata["uid"])
            return set()
        return self.stores.drop(metadata["namespace"], metadata["name"], metadata["uid"])

    def versions(self, resource: Resource) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Return version and metadata of all objects of a kind, by uid."""
        if resource is NAMESPACES:
            return self.namespaces.versions()
        return self.runtimes.versions() if resource is RUNTIMES else self.stores.versions()

    def put_job(self, job: JobRecord, before: JobRecord | None) -> None:
        """Record the objects that a job depends on."""
        self.runtimes.put_job(job, before)
        self.stores.put_job(job)
        self.checkpoint_users.put(job)

    def discard_job(self, job: JobRecord) -> None:
        """Forget a job."""
        self.runtimes.discard_job(job)
        self.stores.discard_job(job)
        self.checkpoint_users.discard(job)

    def write_locations(self, job: JobRecord) -> tuple[str, ...]:
        """Return where the pods of a job write, with the claims of its runtime and the endpoints of its stores."""
        runtime = self.runtimes.get(job.present_runtime)
        endpoints = {name: store.endpoint for name, store in self.stores.of(job.namespace).items()}
        return job.write_locations(runtime.claims if runtime is not None else {}, endpoints)
