"""The labels of namespaces: only an operator that serves all namespaces may read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compression_operator.records.reading import Raw, version


@dataclass(frozen=True, slots=True)
class NamespaceRecord:
    """A namespace."""

    uid: str
    name: str
    version: int
    labels: Mapping[str, str]


class Namespaces:
    """Records of namespaces by name."""

    def __init__(self) -> None:
        self._records: dict[str, NamespaceRecord] = {}

    def get(self, name: str) -> NamespaceRecord | None:
        """Return a namespace."""
        return self._records.get(name)

    def labels(self, name: str) -> Mapping[str, str] | None:
        """Return the labels of a namespace, None where they are not known."""
        record = self._records.get(name)
        return None if record is None else record.labels

    def put(self, raw: Raw) -> str:
        """Store the present state of a namespace; return its name if its labels have changed, else ""."""
        metadata = raw["metadata"]
        known = self._records.get(metadata["name"])
        if known is not None and known.uid == metadata["uid"] and known.version >= version(metadata):
            return ""
        record = NamespaceRecord(
            metadata["uid"], metadata["name"], version(metadata), dict(metadata.get("labels") or {})
        )
        self._records[record.name] = record
        return record.name if known is None or known.labels != record.labels else ""

    def drop(self, name: str, uid: str) -> None:
        """Forget a namespace that is gone."""
        known = self._records.get(name)
        if known is not None and known.uid == uid:
            del self._records[name]

    def versions(self) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Return version and metadata of all namespaces, by uid."""
        return {it.uid: (it.version, {"uid": it.uid, "name": it.name}) for it in self._records.values()}
