"""Checks of a job against the CompressionStores of its namespace, before it is created."""

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
    """Return the stores of a namespace; None if the user may not read them: then only the operator checks."""
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
    """Raise InvalidManifest if the operator would refuse the job, or let it wait for ever, with these stores."""
    store_findings = store_problems(parse_job(manifest.named).spec, stores)
    problems = list(dict.fromkeys(item.problem for item in store_findings if item.reason != INVALID_STORE))
    if problems:
        raise InvalidManifest(manifest.origin, problems)
