"""The child Job of a CompressionJob, built from its spec and its CompressionRuntime."""

from collections.abc import Mapping
from typing import Any, Final

from compression_operator.child.failure_policy import POD_FAILURE_POLICY
from compression_operator.child.isolation import affinity_of, isolation_variables
from compression_operator.child.labels import labels_of
from compression_operator.child.pod_input import PodInput, input_mount, input_volume
from compression_operator.child.storage import (
    NO_STORES,
    claims_of,
    connections_json,
    credentials_of,
    mounts_of,
    volumes_of,
)
from compression_operator.records import write_locations
from compression_operator.records.annotations import (
    DEADLINE_ANNOTATION,
    PRICE_ANNOTATION,
    RETRIES_BEFORE,
    RUNTIME_ANNOTATION,
    SLOT_ANNOTATION,
    STORES_ANNOTATION,
    WRITES_TO_ANNOTATION,
)
from compression_operator.records.job import JobRecord
from compressionjob.group import (
    AMBIENT_IDENTITY_LABEL,
    API_VERSION,
    JOB_KIND,
    QUEUE_LABEL,
)
from compressionjob.job_parts import CLEAN
from compressionjob.measuring import slot_of
from compressionjob.placement import mounted_claims
from compressionjob.pod_interface import (
    CONTAINER,
    LIFETIME_VARIABLE,
    PART_VARIABLE,
    PORT,
    PRICE_VARIABLE,
    TMP,
    WORKDIR,
    WORKDIR_VARIABLE,
)
from compressionjob.report import JudgedResult
from compressionjob.retention import CHECKPOINTS, lifetimes
from compressionjob.review import ReviewOutcome
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import CompressionJobSpec
from compressionjob.stores import ResolvedStore

USER_ID: Final = 65532
"""The user and group of the runner; fsGroup makes new volumes writable for it."""
_POD_SECURITY: Final = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "fsGroup": USER_ID,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def child_job(
    job: JobRecord,
    spec: CompressionJobSpec,
    runtime: CompressionRuntimeSpec,
    stores: Mapping[str, ResolvedStore] = NO_STORES,
    *,
    retries_before: int = 0,
    deadline: int | None = None,
    review: ReviewOutcome | None = None,
    judged: JudgedResult | None = None,
) -> dict[str, Any]:
    """Return the manifest of the child; ``deadline`` is in seconds, ``retries_before`` counts attempts already used.

    ``stores`` are those that the job names. ``review`` allows a child of the part Publish to publish, and ``judged`` is
    the result that it may publish.

    A job with a queue label is created suspended: its queue decides when it starts.
    """
    labels = labels_of(job)
    given = PodInput.of(job, review, judged)
    endpoints = {name: store.connection.endpoint or "" for name, store in stores.items()}
    locations = job.write_locations(mounted_claims(runtime), endpoints)
    writes_to = {WRITES_TO_ANNOTATION: write_locations.to_annotation(locations)}
    slot = slot_of(job.part, runtime.measuring.isolation)
    annotations = {RUNTIME_ANNOTATION: job.present_runtime} | writes_to | _price(runtime, PRICE_ANNOTATION)
    annotations |= {SLOT_ANNOTATION: slot} if slot else {}
    manifest: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job.child_name,
            "namespace": job.namespace,
            "labels": labels | ({QUEUE_LABEL: job.queue} if job.queue else {}),
            "annotations": annotations
            | ({RETRIES_BEFORE: str(retries_before)} if retries_before else {})
            | ({STORES_ANNOTATION: connections_json(stores)} if stores else {}),
            "ownerReferences": [
                {"apiVersion": API_VERSION, "kind": JOB_KIND, "name": job.name, "uid": job.uid, "controller": True}
            ],
        },
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": max(0, job.retries - retries_before),
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": POD_FAILURE_POLICY,
            "suspend": job.suspend or bool(job.queue),
            "template": {
                "metadata": {"labels": labels | _pod_labels(runtime), "annotations": annotations | given.annotations},
                "spec": _pod(job, spec, runtime, stores, given),
            },
        },
    }
    if deadline is not None:
        manifest["spec"]["activeDeadlineSeconds"] = deadline
        manifest["metadata"]["annotations"][DEADLINE_ANNOTATION] = str(deadline)
    return manifest


def _pod_labels(runtime: CompressionRuntimeSpec) -> dict[str, str]:
    """Return the labels that only the pods have: NetworkPolicies select by them."""
    return {AMBIENT_IDENTITY_LABEL: "true"} if runtime.service_account_name else {}


def _pod(
    job: JobRecord,
    spec: CompressionJobSpec,
    runtime: CompressionRuntimeSpec,
    stores: Mapping[str, ResolvedStore],
    given: PodInput,
) -> dict[str, Any]:
    claims = claims_of(spec, stores, sources=job.part != CLEAN)
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _POD_SECURITY,
        "containers": [
            {
                "name": CONTAINER,
                "image": runtime.image,
                "imagePullPolicy": runtime.image_pull_policy,
                "command": runtime.command,
                "env": _environment(job, spec, runtime, stores, given),
                "ports": [{"name": "metrics", "containerPort": PORT, "protocol": "TCP"}],
                "resources": runtime.resources.to_json(),
                "securityContext": _CONTAINER_SECURITY,
                "volumeMounts": [*mounts_of(claims, runtime), input_mount()],
            }
        ],
        "volumes": [*volumes_of(claims, runtime), input_volume()],
    }
    optional = {
        "serviceAccountName": runtime.service_account_name,
        "priorityClassName": runtime.priority_class_name,
        "runtimeClassName": runtime.runtime_class_name,
        "imagePullSecrets": [{"name": name} for name in runtime.image_pull_secrets],
        "nodeSelector": runtime.node_selector,
        "tolerations": [toleration.to_json() for toleration in runtime.tolerations],
        "affinity": affinity_of(slot_of(job.part, runtime.measuring.isolation)),
    }
    return pod | {key: value for key, value in optional.items() if value}


def _price(runtime: CompressionRuntimeSpec, name: str) -> dict[str, str]:
    """Return the runtime's present price, under a name."""
    price = runtime.to_json().get("pricePerHour")
    return {} if price is None else {name: price}


def _lifetime(job: JobRecord, spec: CompressionJobSpec, runtime: CompressionRuntimeSpec) -> list[dict[str, Any]]:
    """The variable with the lifetime of checkpoints: as it was fixed, or as it will be with this Job."""
    status = job.status()
    if status.children_created:
        lifetime = status.retention.checkpoints if status.retention is not None else ""
    else:
        lifetime = lifetimes(spec.retention, runtime.retention).get(CHECKPOINTS, "")
    return [{"name": LIFETIME_VARIABLE, "value": lifetime}] if lifetime else []


def _environment(
    job: JobRecord,
    spec: CompressionJobSpec,
    runtime: CompressionRuntimeSpec,
    stores: Mapping[str, ResolvedStore],
    given: PodInput,
) -> list[dict[str, Any]]:
    """Return the environment; the operator's variables override the runtime's of the same name."""
    own: list[dict[str, Any]] = [
        *given.environment,
        {"name": WORKDIR_VARIABLE, "value": WORKDIR},
        {"name": PART_VARIABLE, "value": job.part},
        {"name": "HOME", "value": TMP},
        *({"name": name, "value": value} for name, value in _price(runtime, PRICE_VARIABLE).items()),
        *_lifetime(job, spec, runtime),
        *isolation_variables(runtime.measuring.isolation),
        *credentials_of(spec, stores, sources=job.part != CLEAN),
    ]
    taken = {variable["name"] for variable in own}
    return [variable.to_json() for variable in runtime.env if variable.name not in taken] + own
