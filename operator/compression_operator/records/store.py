"""The record of a CompressionStore."""

from dataclasses import dataclass
from sys import intern

from compression_operator.records.reading import Raw, version
from compressionjob.errors import InvalidSpec
from compressionjob.stores import CompressionStoreSpec, parse_store


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """A parsed CompressionStore: either its spec or the ``problem`` that makes it invalid."""

    uid: str
    namespace: str
    name: str
    version: int
    spec: CompressionStoreSpec | None
    problem: str = ""

    @property
    def endpoint(self) -> str:
        """The URL of its object store, "" for AWS."""
        return (self.spec.endpoint or "") if self.spec is not None else ""

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The URLs that the pods of its jobs connect to; "" for AWS, the public Hub, and an invalid store."""
        if self.spec is None:
            return ("",)
        uses_s3 = any(it.location.scheme == "s3" for it in self.spec.locations)
        hub = self.spec.hub
        return (*((self.endpoint,) if uses_s3 else ()), *((hub.endpoint or "",) if hub is not None else ()))

    @classmethod
    def of(cls, raw: Raw) -> "StoreRecord":
        """Parse a CompressionStore."""
        metadata = raw["metadata"]
        uid, namespace, name, number = (
            metadata["uid"], intern(metadata["namespace"]), metadata["name"], version(metadata),
        )  # fmt: skip
        try:
            return cls(uid, namespace, name, number, parse_store(dict(raw)).spec)
        except InvalidSpec as error:
            return cls(uid, namespace, name, number, None, str(error))
