"""The labels of namespaces: only an operator that serves all namespaces may read them."""

from collections.abc import Mapping
from dataclasses import dataclass

from compression_operator.cache.cluster_scoped import ClusterScoped
from compression_operator.records.reading import Raw, version


@dataclass(frozen=True, slots=True)
class NamespaceRecord:
    """A namespace."""

    uid: str
    name: str
    version: int
    labels: Mapping[str, str]


class Namespaces(ClusterScoped[NamespaceRecord]):
    """Records of namespaces by name."""

    def labels(self, name: str) -> Mapping[str, str] | None:
        """Return the labels of a namespace, None where they are not known."""
        record = self.get(name)
        return None if record is None else record.labels

    def put(self, raw: Raw) -> str:
        """Store the present state of a namespace; return its name if its labels have changed, else ""."""
        metadata = raw["metadata"]
        known = self.labels(metadata["name"])
        labels = dict(metadata.get("labels") or {})
        record = NamespaceRecord(metadata["uid"], metadata["name"], version(metadata), labels)
        return record.name if self.store(record) and known != labels else ""
