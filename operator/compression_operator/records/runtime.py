"""The record of a CompressionRuntime."""

from dataclasses import dataclass

from compression_operator.records.reading import Raw, version
from compressionjob.errors import InvalidSpec
from compressionjob.measuring import Measuring
from compressionjob.placement import mounted_claims
from compressionjob.runtime import CompressionRuntime, parse_runtime


@dataclass(frozen=True, slots=True)
class RuntimeRecord:
    """A parsed CompressionRuntime: either the runtime or the ``problem`` that makes it invalid."""

    uid: str
    name: str
    version: int
    runtime: CompressionRuntime | None
    problem: str = ""

    @property
    def claims(self) -> dict[str, str]:
        """The claims that its pods mount, by their paths."""
        return mounted_claims(self.runtime.spec) if self.runtime is not None else {}

    @property
    def measuring(self) -> Measuring:
        """The settings for measuring its jobs."""
        return self.runtime.spec.measuring if self.runtime is not None else Measuring()

    def shares_nodes(self, other: "RuntimeRecord") -> bool:
        """Return whether pods of both runtimes may use the same nodes: same node selector and tolerations."""
        if self.runtime is None or other.runtime is None:
            return False
        mine, others = self.runtime.spec, other.runtime.spec
        return (mine.node_selector, mine.tolerations) == (others.node_selector, others.tolerations)

    @classmethod
    def of(cls, raw: Raw) -> "RuntimeRecord":
        """Parse a CompressionRuntime."""
        metadata = raw["metadata"]
        uid, name, number = metadata["uid"], metadata["name"], version(metadata)
        try:
            return cls(uid, name, number, parse_runtime(dict(raw)))
        except InvalidSpec as error:
            return cls(uid, name, number, None, str(error))
