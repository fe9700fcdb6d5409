"""Builders of the operator's input: raw objects of the API server, and their trimmed records."""

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from compression_operator.cache.observed_job import ObservedJob
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.reconcile import reconcile
from compression_operator.records.annotations import RETRIES_BEFORE, RUNTIME_ANNOTATION, SLOT_ANNOTATION
from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.review import ReviewRecord
from compression_operator.records.runtime import RuntimeRecord
from compressionjob.report import Progress, SideSummary, Summary, Violation
from tests.support import manifests

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
UID = "0a1b2c3d-0000-4000-8000-000000000001"
CHILD_UID = "c0000000-0000-4000-8000-000000000001"
REVIEWED_DIGEST = "sha256:" + "a" * 64
"""Digest of the result that reviews are about."""


_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")


def after(seconds: float) -> datetime:
    """A moment after NOW."""
    return NOW + timedelta(seconds=seconds)


def stamp(seconds: float = 0) -> str:
    """The same as Kubernetes writes it."""
    return after(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def raw_job(
    *, labels: dict[str, str] | None = None, status: dict[str, Any] | None = None, deleting: bool = False,
    generation: int = 1, **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    """A CompressionJob with its server-side metadata; ``changes`` as in ``manifests.job``."""
    manifest = manifests.job(**changes)
    manifest["metadata"] |= {
        "uid": UID,
        "generation": generation,
        "resourceVersion": "100",
        "creationTimestamp": stamp(),
        "labels": labels or {},
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
    }
    if deleting:
        manifest["metadata"]["deletionTimestamp"] = stamp()
    manifest["status"] = status or {}
    return manifest


SUCCEEDED: Final = {
    "phase": "Succeeded",
    "completionTime": stamp(),
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Succeeded",
            "lastTransitionTime": stamp(),
            "observedGeneration": 1,
        }
    ],
}
"""The status of a job that has ended well."""


def job(**options: Any) -> JobRecord:
    """A trimmed CompressionJob."""
    return JobRecord.of(raw_job(**options))


def raw_review(
    decision: str = "Approve", *, name: str = "review-a", created: float = 60, job_uid: str = UID,
    digest: str = REVIEWED_DIGEST, reviewer: str = "rita",
) -> dict[str, Any]:  # fmt: skip
    """A CompressionReview of the job; one without ``job_uid`` or ``digest`` was stored by an older version."""
    spec = {"job": "minilm-int8", "decision": decision, "reason": "looked at it", "reviewer": reviewer}
    binding = {"jobUID": job_uid, "digest": digest}
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": "400",
            "creationTimestamp": stamp(created),
        },
        "spec": spec | {key: value for key, value in binding.items() if value},
    }


def review(decision: str = "Approve", **options: Any) -> ReviewRecord:
    """A trimmed CompressionReview of the job; ``options`` as in ``raw_review``."""
    return ReviewRecord.of(raw_review(decision, **options))


def runtime(name: str = "cpu", **spec: Any) -> RuntimeRecord:
    """A CompressionRuntime that is valid, and whose jobs have one pod, unless ``spec`` says otherwise."""
    fields: dict[str, Any] = {
        "image": "runner:1", "resources": {"limits": {"memory": "2Gi"}}, "measuring": {"isolation": "Shared"},
    }  # fmt: skip
    return RuntimeRecord.of(
        {
            "apiVersion": "compression-operator.io/v1alpha1",
            "kind": "CompressionRuntime",
            "metadata": {"name": name, "uid": "r-1", "resourceVersion": "7"},
            "spec": fields | spec,
        }
    )


def child(
    *, slot: str = "", owner: str = UID, uid: str = CHILD_UID, suspend: bool = False, active: int = 0, failed: int = 0,
    condition: tuple[str, str, str] | None = None, retries_before: int = 0, deadline: int | None = None,
    start: str = "", created: str = "", part: str = "Run", annotations: dict[str, str] | None = None, since: str = "",
    queue: str = "",
) -> ChildRecord:  # fmt: skip
    """The child Job of a part; ``condition`` is a true one, ``since`` when it became so: type, reason, message."""
    status: dict[str, Any] = {"active": active, "failed": failed, "startTime": start}
    if condition is not None:
        kind, reason, message = condition
        state = {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since}
        status["conditions"] = [state]
    return ChildRecord.of(
        {
            "metadata": {
                "name": "minilm-int8-0a1b2c3d" + (f"-{part.lower()}" if part in ("Measure", "Publish") else ""),
                "namespace": "default",
                "labels": {"compression-operator.io/part": part}
                | ({"kueue.x-k8s.io/queue-name": queue} if queue else {}),
                "uid": uid,
                "resourceVersion": "200",
                "creationTimestamp": created or stamp(),
                "annotations": {RETRIES_BEFORE: str(retries_before), SLOT_ANNOTATION: slot} | (annotations or {}),
                "ownerReferences": [
                    {"kind": "CompressionJob", "name": "minilm-int8", "uid": owner, "controller": True}
                ],
            },
            "spec": {"suspend": suspend, "activeDeadlineSeconds": deadline},
            "status": status,
        }
    )


def complete(**options: Any) -> ChildRecord:
    """A child that ran to its end."""
    return child(condition=("Complete", "CompletionsReached", ""), **options)


def failed(reason: str, message: str = "", **options: Any) -> ChildRecord:
    """A child that failed for good."""
    return child(condition=("Failed", reason, message), **options)


def pod(
    name: str = "pod-a", *, phase: str = "Pending", state: dict[str, Any] | None = None, ip: str = "",
    conditions: tuple[tuple[str, ...], ...] = (("PodScheduled", "True", "", ""),), slot: str = "",
    reason: str = "", message: str = "", created: float = 1, deleting: bool = False,
    labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None,
) -> PodRecord:  # fmt: skip
    """A pod of the child; ``conditions``: type, status, reason, message, time; ``state`` is the runner container's."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "resourceVersion": "300",
        "creationTimestamp": stamp(created),
        "labels": {"compression-operator.io/job-uid": UID} | (labels or {}),
        "annotations": {SLOT_ANNOTATION: slot, RUNTIME_ANNOTATION: "cpu"} | (annotations or {}),
    }
    if deleting:
        metadata["deletionTimestamp"] = stamp()
    status: dict[str, Any] = {
        "phase": phase,
        "podIP": ip,
        "reason": reason,
        "message": message,
        "conditions": [dict(zip(_CONDITION, item, strict=False)) for item in conditions],
    }
    if state is not None:
        status["containerStatuses"] = [{"name": "runner", "state": state}]
    return PodRecord.of({"metadata": metadata, "spec": {"containers": []}, "status": status})


def running_pod(name: str = "pod-a", *, start: float = 0, **options: Any) -> PodRecord:
    """A pod whose container runs."""
    return pod(name, phase="Running", state={"running": {"startedAt": stamp(start)}}, ip="10.0.0.7", **options)


def ended_pod(
    name: str = "pod-a", code: int = 0, message: str = "", reason: str = "", *, start: float = 0, end: float = 0,
    **options: Any,
) -> PodRecord:  # fmt: skip
    """A pod whose container has ended."""
    state = {
        "terminated": {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "message": message,
            "startedAt": stamp(start),
            "finishedAt": stamp(end),
        }
    }
    return pod(name, phase="Succeeded" if code == 0 else "Failed", state=state, **options)


def summary(verdict: str = "Pass", **fields: Any) -> str:
    """A termination message with a verdict."""
    full: dict[str, Any] = {
        "confidence": 0.95,
        "sentence": "all 3 limits hold",
        "published": verdict == "Pass",
        "baseline": SideSummary(size_bytes=91_000_000, latency_seconds={"p99": 0.02}),
        "compressed": SideSummary(size_bytes=22_750_000, latency_seconds={"p99": 0.0073}),
        "report": "s3://models/minilm-int8-report",
        "artifact": "s3://models/minilm-int8",
    }
    return Summary(verdict=verdict, **(full | fields)).to_message()  # type: ignore[arg-type]


def violation(reason: str, message: str = "it is wrong", **fields: str) -> str:
    """A termination message with an error."""
    return Summary(error=Violation(reason=reason, message=message, **fields)).to_message()


def progress(stage: str, fraction: float) -> Progress:
    """What a pod answers about its progress."""
    return Progress(stage=stage, fraction=fraction)


def observe(
    record: JobRecord | None = None, *, on: RuntimeRecord | None = None, without_runtime: bool = False, **rest: Any
) -> ObservedJob:
    """Return an observed job on the runtime ``cpu``; ``rest`` are more fields."""
    present = None if without_runtime else on or runtime()
    return ObservedJob(job=record or job(), runtime=present, **rest)


def with_status(record: JobRecord, plan: ReconcilePlan) -> JobRecord:
    """The job once the plan's status is written."""
    if plan.status is None:
        return record
    return with_raw_status(record, dict(plan.status))


def with_raw_status(record: JobRecord, status: dict[str, Any], **options: Any) -> JobRecord:
    """The job with another status."""
    raw = raw_job(status=json.loads(json.dumps(status)), **options)
    raw["metadata"] |= {
        "name": record.name,
        "labels": {"kueue.x-k8s.io/queue-name": record.queue} if record.queue else {},
    }
    if record.spec_json:
        raw["spec"] = record.spec()
    return JobRecord.of(raw)


def settle(observed: ObservedJob, now: datetime = NOW) -> tuple[JobRecord, ReconcilePlan]:
    """Reconcile once and write the status: the job as it is then, and the plan."""
    plan = reconcile(observed, now)
    return with_status(observed.job, plan), plan


def condition_of(plan: ReconcilePlan, kind: str) -> dict[str, Any]:
    """A condition of the plan's status."""
    assert plan.status is not None, "the plan writes no status"
    matching = [item for item in plan.status["conditions"] if item["type"] == kind]
    assert len(matching) == 1, f"{kind} occurs {len(matching)} times"
    return copy.deepcopy(matching[0])
