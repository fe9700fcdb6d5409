"""The next step for a job, as one sentence or command, by its phase and the reason of its state."""

import math
from collections.abc import Iterator
from typing import Final

from compressionjob import conditions
from compressionjob.field_types import parse_duration
from compressionjob.group import RUNTIME_PLURAL, RUNTIME_SHORT_NAME, STORE_PLURAL, STORE_SHORT_NAME
from compressionjob.pod_interface import CORRECT_KEYS
from compressionjob.remedies import TIME_LIMIT
from kubectl_compress.job import Job
from kubectl_compress.remedies import samples_that_decide, time_limit, time_limit_that_decides

# Placeholders: {report}, {retry}, {logs}, {status}, {approve} and {reject} are whole commands about the job.
_REPORT: Final = "see the report: {report}"
_JUDGE: Final = _REPORT + "; to have it judged, set limits in spec.sla and submit it under another name"
_UNKNOWN: Final = "see why: {logs}; then retry it, from its checkpoints: {retry}"
_CORRECT: Final = "correct the manifest, and submit it under another name: kubectl compress submit FILE {ns} --name NEW"
_RUNTIMES: Final = f"(to list them: kubectl get {RUNTIME_PLURAL})"
_BY_ITSELF: Final = "; the job then continues: {status} --watch"

OF_FAILURE: Final = {
    conditions.SLA_VIOLATED: _REPORT + ", then change the pipeline or the limits and submit it under another name",
    conditions.SLA_INCONCLUSIVE: _REPORT + ", then retry with a longer benchmark: {retry} --set "
    f"{TIME_LIMIT}={{longer}}; to use more data, submit it under another name",
    conditions.INVALID_SPEC: _CORRECT,
    conditions.INVALID_INPUT: _CORRECT + "; if a source or a key was wrong and is corrected: {retry}",
    conditions.BAD_RECIPE: _CORRECT,
    conditions.OUT_OF_MEMORY: "choose a runtime with more memory " + _RUNTIMES + ": {retry} --set spec.runtime=NAME",
    conditions.KILLED: "check its node: kubectl get nodes; then retry it, from its checkpoints: {retry}",
    conditions.DISK_FULL: "make room at the destination, or choose a runtime with a larger workspace "
    + _RUNTIMES
    + ": {retry} --set spec.runtime=NAME",
    conditions.STORAGE_UNAVAILABLE: "check spec.storage.endpoint and that the store is running; then: {retry}",
    conditions.DEADLINE_EXCEEDED: "give it more time; finished stages are kept: {retry} --set spec.deadline=TIME",
    conditions.BUDGET_EXCEEDED: "allow it a larger budget; finished stages are kept: {retry} --set spec.budget=MORE",
    conditions.RETRIES_EXHAUSTED: "see why: {logs}; when the cause is fixed, retry it from its checkpoints: {retry}",
    conditions.INTERRUPTED_TOO_OFTEN: "allow more interruptions, or choose a runtime with a higher priority "
    + _RUNTIMES
    + ": {retry} --set spec.maxInterruptions=MORE",
    conditions.CHILD_LOST: "find out who deletes its Jobs: kubectl get events {ns}; then: {retry}",
    conditions.CHILD_CONFLICT: "a Job of its name belongs to another owner; retry under a new name: {retry}",
    conditions.SUMMARY_MISSING: "find out who deletes its pods: kubectl get events {ns}; then measure again: {retry}",
    conditions.RESULT_CHANGED: "do not use the model at the destination; find out who writes there; then: {retry}",
    conditions.STORE_REQUIRED: f"name a store in place of Secrets, endpoints and claims (kubectl get {STORE_PLURAL} "
    "{ns}), and submit it under another name: kubectl compress submit FILE {ns} --name NEW",
    conditions.LOCATION_NOT_ALLOWED: f"use a location that the store allows (kubectl get {STORE_PLURAL} {{ns}}), or "
    "ask the platform team; submit it under another name: kubectl compress submit FILE {ns} --name NEW",
    conditions.REVIEW_REJECTED: "read the reviewer's reason; change the pipeline or the limits, and submit it "
    "under another name: kubectl compress submit FILE {ns} --name NEW",
    conditions.REVIEW_TIMED_OUT: "ask a reviewer to decide in time: {retry} --set spec.reviewTimeout=TIME",
}
"""The remedy for each reason of Failed."""
OF_WAITING: Final = {
    conditions.RUNTIME_NOT_FOUND: "create it, or delete the job and submit it with another runtime " + _RUNTIMES,
    conditions.INVALID_RUNTIME: f"let the platform team correct it: kubectl edit {RUNTIME_SHORT_NAME} {{runtime}}",
    conditions.RUNTIME_WITHOUT_PRICE: "let the platform team set its price: "
    f"kubectl patch {RUNTIME_SHORT_NAME} {{runtime}} --type=merge "
    '--patch=\'{{"spec":{{"pricePerHour":"PRICE"}}}}\', '
    "or delete the job and submit it without spec.budget and spec.sla.cost",
    conditions.RUNTIME_NOT_ALLOWED: "delete the job and submit it with another runtime "
    + _RUNTIMES
    + ", or ask the platform team to allow the namespace: "
    f"kubectl edit {RUNTIME_SHORT_NAME} {{runtime}}",
    conditions.AUTHOR_NOT_VERIFIED: "ask the platform team to install the operator with the chart, whose policies "
    "verify spec.author (docs/review.md)",
    conditions.STORE_NOT_FOUND: "ask the platform team to create it, or delete the job and submit it with another "
    f"store (to list them: kubectl get {STORE_PLURAL} {{ns}})",
    conditions.INVALID_STORE: f"let the platform team correct it: kubectl edit {STORE_SHORT_NAME} {{ns}}",
    conditions.UNSCHEDULABLE: "wait for room, ask the platform team for nodes, or delete the job and submit it with a "
    "smaller runtime " + _RUNTIMES,
    conditions.IMAGE_PULL_FAILED: "correct the image of the runtime {runtime} with the commands above, or ask the "
    "platform team",
    conditions.CONTAINER_CONFIG_ERROR: "run the command above; the pod then starts",
    conditions.POD_SCHEDULED: "the image is being pulled, or the container is starting" + _BY_ITSELF,
    conditions.WAITING_FOR_POD: "the pod is being created; if it does not appear: kubectl get events {ns}" + _BY_ITSELF,
    conditions.PREEMPTED: "another pod takes its place" + _BY_ITSELF,
    conditions.QUEUED: "its queue starts it when there is room (kubectl get workloads {ns})" + _BY_ITSELF,
    conditions.WAITING_FOR_MEASURING_SLOT: "it is measured when CPUs are free" + _BY_ITSELF,
    conditions.MEASURING_FIRST: "it begins when the jobs before it are measured" + _BY_ITSELF,
    conditions.DESTINATION_IN_USE: "wait for the other job, or delete this one and submit it with another "
    "spec.output.destination" + _BY_ITSELF,
    conditions.PODS_LEFT: "wait, or end the earlier pod with the command above" + _BY_ITSELF,
}
"""The remedy for each reason of a Pending job."""
OF_CONDITION: Final = {
    conditions.PROMISE_BROKEN: "compare with the promises in docs/methods, and change the method or its parameters",
    conditions.FORECAST_LATE: "give it more time: kubectl patch cpj {name} {ns} --type=merge "
    '--patch=\'{{"spec":{{"deadline":"TIME"}}}}\'',
    conditions.RECEIVER_NOT_FOUND: "correct the names: kubectl patch cpj {name} {ns} --type=merge "
    '--patch=\'{{"spec":{{"notifications":[]}}}}\'',
    conditions.REMOVAL_WAITS: "files whose lifetime has passed are removed as soon as the condition's cause is fixed",
    conditions.REMOVAL_FAILED: "correct the cause in the message; if the operator has given up, remove the files "
    "by hand (docs/retention.md)",
    conditions.STATUS_REFUSED: "upgrade the CRDs: kubectl apply --server-side --filename=crds/ (docs/install.md)",
}
"""The remedy for each bad condition, in any phase of the job."""
_NOT_SEEN: Final = (
    "no operator has seen it yet; if that stays so, check the operator: kubectl get deployments --all-namespaces "
    "--selector=app.kubernetes.io/name=compression-operator"
)
_BAD: Final = {
    *((kind, "False") for kind in conditions.CONDITION_TYPES if kind not in conditions.FOR_OTHER_TOOLS),
    (conditions.DEADLINE_AT_RISK, "True"),
}


def advice(job: Job) -> str:
    """Return the next step; "" if there is nothing to do but wait."""
    return _written(_template(job), job)


def remarks(job: Job) -> Iterator[str]:
    """Yield the remedies for bad conditions, in addition to the next step."""
    for item in job.conditions:
        template = OF_CONDITION.get(str(item.get("reason")))
        if template is not None and (item.get("type"), item.get("status")) in _BAD:
            yield _written(template, job)


def _written(template: str, job: Job) -> str:
    commands = {name: job.command(name) for name in ("report", "retry", "logs", "status", "approve", "reject")}
    fields = {"name": job.name, "ns": job.namespace_flag, "runtime": job.present_runtime, "longer": _longer(job)}
    return template.format(**fields, **commands)


def _template(job: Job) -> str:
    if job.awaits_review:
        return "{approve} --reason TEXT, or {reject} --reason TEXT"
    if job.phase == "Suspended":
        resume = '{{"spec":{{"suspend":false}}}}'
        return f"resume it: kubectl patch cpj {{name}} {{ns}} --type=merge --patch='{resume}'"
    if job.phase == "Failed" and job.reason == conditions.SLA_INCONCLUSIVE:
        return _decisive_step(job) or OF_FAILURE[job.reason]
    if job.phase == "Failed" and CORRECT_KEYS in job.message:
        return "replace the keys as shown above; then: {retry}"
    if job.phase == "Failed":
        return OF_FAILURE.get(job.reason, _UNKNOWN)
    if job.phase == "Succeeded":
        return _JUDGE if job.verdict == conditions.VERDICT_NO_LIMITS else _REPORT
    if not job.phase:
        return _NOT_SEEN
    if job.reason == conditions.UNSCHEDULABLE and "not found" in job.message:
        return "create the missing object, as shown above; the pod is then scheduled"
    return OF_WAITING.get(job.reason, "follow it: {status} --watch")


def _longer(job: Job) -> str:
    """Return twice the time limit of the job's benchmark, since that limit was not enough."""
    return f"{max(1, math.ceil(2 * parse_duration(time_limit(job)) / 60))}m"


def _decisive_step(job: Job) -> str:
    """Return the change that would decide the open limits; "" if the status does not contain it."""
    longer, samples = time_limit_that_decides(job), samples_that_decide(job)
    ways = []
    if longer:
        ways.append(f"measure longer, from its checkpoints: {{retry}} --set {TIME_LIMIT}={longer}")
    if samples:
        ways.append(
            f"quality needs more samples: set spec.data.evaluation.limit to {samples} in the manifest, and submit it "
            "under another name: kubectl compress submit FILE {ns} --name NEW"
        )
    return "; ".join(ways)
