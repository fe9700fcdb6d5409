"""Records of objects outside of namespaces, by name."""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar


class _Record(Protocol):
    @property
    def uid(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...


R = TypeVar("R", bound=_Record)


class ClusterScoped(Generic[R]):
    """The newest state of each object of one kind."""

    def __init__(self) -> None:
        self._records: dict[str, R] = {}

    def __iter__(self) -> Iterator[R]:
        return iter(self._records.values())

    def get(self, name: str) -> R | None:
        """Return the object of this name."""
        return self._records.get(name)

    def store(self, record: R) -> bool:
        """Store a state; return False if this or a newer one is known."""
        known = self._records.get(record.name)
        if known is not None and known.uid == record.uid and known.version >= record.version:
            return False
        self._records[record.name] = record
        return True

    def drop(self, name: str, uid: str) -> None:
        """Forget an object that is gone."""
        known = self._records.get(name)
        if known is not None and known.uid == uid:
            del self._records[name]

    def versions(self) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Return version and metadata of all objects, by uid."""
        return {it.uid: (it.version, {"uid": it.uid, "name": it.name}) for it in self}
