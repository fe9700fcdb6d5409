"""The child Job of the part Clean: the job's own place in the cluster and its output's credentials, and little else."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from compression_operator.child.job import child_job
from compression_operator.child.storage import NO_STORES
from compression_operator.records.job import JobRecord
from compressionjob.pod import CLEAN_VARIABLE
from compressionjob.retention import Retained
from compressionjob.runtime import CompressionRuntimeSpec, Resources
from compressionjob.spec import CompressionJobSpec
from compressionjob.stores import ResolvedStore

RESOURCES: Final = Resources(requests={"cpu": "100m", "memory": "512Mi"}, limits={"memory": "512Mi"})
DEADLINE: Final = 3600
"""Seconds; it is a matter of listing and deleting."""
BACKOFF_LIMIT: Final = 3


def cleaning_job(
    job: JobRecord,
    spec: CompressionJobSpec,
    runtime: CompressionRuntimeSpec,
    kinds: Sequence[Retained],
    stores: Mapping[str, ResolvedStore] = NO_STORES,
) -> dict[str, Any]:
    """Return the manifest of the Job that removes ``kinds``: without accelerators, price and the job's sources."""
    cheap = runtime.model_copy(update={"resources": RESOURCES, "price_per_hour": None})
    manifest = child_job(job, spec, cheap, stores, deadline=DEADLINE)
    manifest["spec"] |= {"backoffLimit": BACKOFF_LIMIT, "suspend": bool(job.queue)}
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": CLEAN_VARIABLE, "value": json.dumps(list(kinds))})
    return manifest
