"""Kueue's Workloads: where a queue owns the field ``suspend`` of a Job, ``spec.active`` suspends and resumes the Job.

https://kueue.sigs.k8s.io/docs/concepts/workload/#active
"""

from typing import Final

from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import NotFound
from compression_operator.cluster.resources import Resource

GROUP: Final = "kueue.x-k8s.io"
VERSIONS: Final = ("v1beta2", "v1beta1")
"""Versions of the API in which Workloads have been served, newest first."""
JOB_UID_LABEL: Final = f"{GROUP}/job-uid"
"""Label of a Workload: the uid of its Job."""


async def set_active(client: Client, namespace: str, job_uid: str, *, active: bool) -> bool:
    """Set ``spec.active`` of the Workload of a Job; False takes its quota and its pods away.

    Returns whether the Job has a Workload. Raises the errors of ``cluster.errors``.
    """
    for version in VERSIONS:
        resource = Resource(GROUP, version, "workloads")
        try:
            return await _set_active(client, resource, namespace, job_uid, active=active)
        except NotFound:
            continue  # Kueue is not installed, serves another version, or the Workload has just been deleted
    return False


async def _set_active(client: Client, resource: Resource, namespace: str, job_uid: str, *, active: bool) -> bool:
    exists = False
    async for page in client.pages(resource, namespace, selector=f"{JOB_UID_LABEL}={job_uid}"):
        for workload in page["items"]:
            exists = True
            if workload["spec"].get("active", True) != active:
                name = workload["metadata"]["name"]
                await client.merge_patch(resource, namespace, name, {"spec": {"active": active}})
    return exists
