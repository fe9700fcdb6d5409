"""The author of a job: the user name of its creator in the cluster."""

from collections.abc import Mapping
from typing import Any, Final

from compressionjob.group import JOB_PLURAL
from kubectl_compress.cluster import Cluster
from kubectl_compress.errors import ClusterError

_UNKNOWN: Final = 'unknown field "spec.author"'
"""The API server's message if its CRDs are older than this plugin."""


def author_of(cluster: Cluster) -> str:
    """Return the caller's user name; "" if the cluster does not return it: then the job has no author."""
    try:
        return cluster.user()
    except ClusterError:
        return ""


def create_job(
    cluster: Cluster, namespace: str, manifest: Mapping[str, Any], author: str, *, dry_run: bool
) -> dict[str, Any]:
    """Create a job, with ``author`` unless its manifest has one or the CRDs are too old for the field."""
    spec = manifest["spec"]
    if not author or "author" in spec:
        return cluster.create(JOB_PLURAL, namespace, manifest, dry_run=dry_run)
    try:
        return cluster.create(JOB_PLURAL, namespace, {**manifest, "spec": {**spec, "author": author}}, dry_run=dry_run)
    except ClusterError as error:
        if _UNKNOWN not in str(error):
            raise
    return cluster.create(JOB_PLURAL, namespace, manifest, dry_run=dry_run)
