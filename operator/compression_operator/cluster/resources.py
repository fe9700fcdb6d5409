"""The kinds of objects that the operator reads or writes, and their paths."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from compressionjob.group import GROUP, JOB_PLURAL, REVIEW_PLURAL, RUNTIME_PLURAL, STORE_PLURAL, VERSION


@dataclass(frozen=True)
class Resource:
    """A kind of object as the API server serves it; ``group`` is "" for the core group."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path of a collection, an object or a subresource."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part is not None]
        return "/" + "/".join(parts)


REVIEWS: Final = Resource(GROUP, VERSION, REVIEW_PLURAL)
COMPRESSION_JOBS: Final = Resource(GROUP, VERSION, JOB_PLURAL)
RUNTIMES: Final = Resource(GROUP, VERSION, RUNTIME_PLURAL)
STORES: Final = Resource(GROUP, VERSION, STORE_PLURAL)
JOBS: Final = Resource("batch", "v1", "jobs")
PODS: Final = Resource("", "v1", "pods")
EVENTS: Final = Resource("events.k8s.io", "v1", "events")
NAMESPACES: Final = Resource("", "v1", "namespaces")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
NETWORK_POLICIES: Final = Resource("networking.k8s.io", "v1", "networkpolicies")
TOKEN_REVIEWS: Final = Resource("authentication.k8s.io", "v1", "tokenreviews")
ACCESS_REVIEWS: Final = Resource("authorization.k8s.io", "v1", "subjectaccessreviews")
