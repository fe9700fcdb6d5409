"""The child Job of the part Clean, which removes files: small resources, and credentials of the output only."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from compression_operator.child.job import child_job
from compression_operator.child.storage import NO_STORES
from compression_operator.records.job import JobRecord
from compressionjob.group import QUEUE_LABEL
from compressionjob.pod_interface import CLEAN_VARIABLE, KNOWN_JOBS_VARIABLE, UID_CHARACTERS
from compressionjob.retention import Retained
from compressionjob.runtime import CompressionRuntimeSpec, Resources
from compressionjob.spec import CompressionJobSpec
from compressionjob.stores import ResolvedStore

RESOURCES: Final = Resources(requests={"cpu": "100m", "memory": "512Mi"}, limits={"memory": "512Mi"})
DEADLINE: Final = 3600
"""Seconds; the Job only lists and deletes objects."""
BACKOFF_LIMIT: Final = 3
MAX_KNOWN_JOBS: Final = 10_000
"""With more jobs their uids would not fit into a variable (128 KiB); then no registration ends."""


def cleaning_job(
    job: JobRecord,
    spec: CompressionJobSpec,
    runtime: CompressionRuntimeSpec,
    kinds: Sequence[Retained],
    stores: Mapping[str, ResolvedStore] = NO_STORES,
    known_jobs: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the manifest of the Job that removes ``kinds``: without accelerators, price and the job's sources.

    ``known_jobs`` are the uids of all jobs that there are: registrations of other jobs end some time later.

    It is in no queue: it needs little, and until it has ended no other job may write to the destination.
    """
    cheap = runtime.model_copy(update={"resources": RESOURCES, "price_per_hour": None})
    manifest = child_job(job, spec, cheap, stores, deadline=DEADLINE)
    manifest["spec"] |= {"backoffLimit": BACKOFF_LIMIT, "suspend": False}
    manifest["metadata"]["labels"].pop(QUEUE_LABEL, None)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": CLEAN_VARIABLE, "value": json.dumps(list(kinds))})
    if len(known_jobs) <= MAX_KNOWN_JOBS:
        known = ",".join(sorted(uid[:UID_CHARACTERS] for uid in known_jobs))
        container["env"].append({"name": KNOWN_JOBS_VARIABLE, "value": known})
    return manifest
