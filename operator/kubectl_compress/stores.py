"""What the CompressionStores of a namespace do not allow a job, checked before it is created."""

from typing import Any

from compressionjob.conditions import INVALID_STORE
from compressionjob.errors import InvalidSpec
from compressionjob.spec import parse_job
from compressionjob.store_access import Stores, store_problems
from compressionjob.stores import CompressionStoreSpec, parse_store
from kubectl_compress.cluster import Cluster
from kubectl_compress.errors import Forbidden, InvalidManifest, NotFound
from kubectl_compress.manifests import Manifest


def stores_of(cluster: Cluster, namespace: str) -> Stores | None:
    """Return the stores of a namespace; None where the user may not read them: then the operator checks alone."""
    try:
        items = cluster.stores(namespace)
    except (Forbidden, NotFound):  # not found: the cluster's CRDs are older
        return None
    return {str(item["metadata"]["name"]): _spec(item) for item in items}


def _spec(item: dict[str, Any]) -> CompressionStoreSpec | None:
    try:
        return parse_store(item).spec
    except InvalidSpec:
        return None


def require_stores(manifest: Manifest, stores: Stores) -> None:
    """Raise InvalidManifest for what the operator would refuse, or wait for without end, with these stores."""
    found = store_problems(parse_job(manifest.named).spec, stores)
    problems = list(dict.fromkeys(item.problem for item in found if item.reason != INVALID_STORE))
    if problems:
        raise InvalidManifest(manifest.origin, problems)
