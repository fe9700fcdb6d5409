"""CompressionStores by namespace, and the jobs that they concern: all jobs of the namespace."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from compression_operator.records.job import JobRecord
from compression_operator.records.store import StoreRecord

_NONE: Final[Mapping[str, StoreRecord]] = MappingProxyType({})


class Stores:
    """Records of CompressionStores by namespace and name, and the uids of the jobs in each namespace."""

    def __init__(self) -> None:
        self._records: dict[str, dict[str, StoreRecord]] = {}
        self._jobs: dict[str, set[str]] = {}

    def of(self, namespace: str) -> Mapping[str, StoreRecord]:
        """Return the stores of a namespace by name."""
        return self._records.get(namespace, _NONE)

    def get(self, namespace: str, name: str) -> StoreRecord | None:
        """Return a store."""
        return self.of(namespace).get(name)

    def put(self, store: StoreRecord) -> set[str]:
        """Store the present state of a CompressionStore; return the uids of the jobs that this may concern."""
        known = self.get(store.namespace, store.name)
        if known is not None and known.uid == store.uid and known.version >= store.version:
            return set()
        self._records.setdefault(store.namespace, {})[store.name] = store
        return self.jobs_in(store.namespace)

    def drop(self, namespace: str, name: str, uid: str) -> set[str]:
        """Forget a store that is gone; return the uids of the jobs that this may concern."""
        known = self.get(namespace, name)
        if known is None or known.uid != uid:
            return set()
        del self._records[namespace][name]
        if not self._records[namespace]:
            del self._records[namespace]
        return self.jobs_in(namespace)

    def versions(self) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Return version and metadata of all stores, by uid."""
        return {
            it.uid: (it.version, {"uid": it.uid, "name": it.name, "namespace": it.namespace})
            for stores in self._records.values()
            for it in stores.values()
        }

    def put_job(self, job: JobRecord) -> None:
        """Record a job until no Job works for it any more."""
        if job.over:
            self.discard_job(job)
        else:
            self._jobs.setdefault(job.namespace, set()).add(job.uid)

    def discard_job(self, job: JobRecord) -> None:
        """Forget a job."""
        jobs = self._jobs.get(job.namespace)
        if jobs is not None:
            jobs.discard(job.uid)
            if not jobs:
                del self._jobs[job.namespace]

    def jobs_in(self, namespace: str) -> set[str]:
        """Return the uids of the jobs in a namespace that are not over."""
        return set(self._jobs.get(namespace, ()))
