"""What to do next about a job, in one sentence or command: by its phase and the reason of its state."""

from typing import Final

from compressionjob import conditions
from kubectl_compress.deciding import TIME_LIMIT, samples_that_decide, time_limit_that_decides
from kubectl_compress.job import Job

_REPORT: Final = "see the report: kubectl compress report {name}"
_JUDGE: Final = _REPORT + "; to have it judged, set limits in spec.sla and submit it under another name"
_AGAIN: Final = "try it again, from its checkpoints: kubectl compress retry {name}"
_CORRECT: Final = "correct the manifest, and submit it under another name: kubectl compress submit FILE --name NEW"

_OF_FAILURE: Final = {
    conditions.SLA_VIOLATED: _REPORT + ", then change the pipeline or the limits and submit it under another name",
    conditions.SLA_INCONCLUSIVE: _REPORT
    + ", then try again with more data or a longer benchmark: kubectl compress retry {name} --set "
    "spec.benchmark.timeLimit=30m",
    conditions.INVALID_SPEC: _CORRECT,
    conditions.INVALID_INPUT: _CORRECT + "; where a source was at fault and is mended: kubectl compress retry {name}",
    conditions.BAD_RECIPE: _CORRECT,
    conditions.OUT_OF_MEMORY: "choose a runtime with more memory: kubectl compress retry {name} "
    "--set spec.runtime=NAME",
    conditions.DISK_FULL: "make room, or choose a runtime with a larger workspace: kubectl compress retry {name} "
    "--set spec.runtime=NAME",
    conditions.STORAGE_UNAVAILABLE: "when the store answers again: kubectl compress retry {name}",
    conditions.DEADLINE_EXCEEDED: "give it more time; finished stages are kept: kubectl compress retry {name} --set "
    "spec.deadline=TIME",
    conditions.CHILD_CONFLICT: "a Job of its name belongs to somebody else: kubectl compress retry {name}",
    conditions.REVIEW_REJECTED: "read the reviewer's reason; change the pipeline or the limits, and submit it "
    "under another name",
    conditions.REVIEW_TIMED_OUT: "nobody reviewed it in time: kubectl compress retry {name}",
}
_OF_WAITING: Final = {
    conditions.RUNTIME_NOT_FOUND: "see which runtimes there are: kubectl get compressionruntimes",
    conditions.INVALID_RUNTIME: "tell the platform team: kubectl describe compressionruntime {runtime}",
    conditions.UNSCHEDULABLE: "wait for room, or tell the platform team what the scheduler says",
    conditions.IMAGE_PULL_FAILED: "tell the platform team: the image of the runtime {runtime} cannot be pulled",
    conditions.CONTAINER_CONFIG_ERROR: "create what is missing in the namespace, such as the Secret; the pod goes on "
    "by itself",
}
_NOT_SEEN: Final = (
    "no operator has seen it yet; if that stays so, look for one: kubectl get deployments --all-namespaces "
    "--selector=app.kubernetes.io/name=compression-operator"
)


def advice(job: Job) -> str:
    """What to do next; "" when there is nothing to do but wait."""
    return _template(job).format(name=job.name, runtime=job.spec.get("runtime", ""))


def _template(job: Job) -> str:
    if job.awaits_review:
        return "kubectl compress approve {name} --reason TEXT, or reject {name} --reason TEXT"
    if job.phase == "Suspended":
        resume = '{{"spec":{{"suspend":false}}}}'
        return f"let it go on: kubectl patch cpj {{name}} --type=merge --patch='{resume}'"
    if job.phase == "Failed" and job.reason == conditions.SLA_INCONCLUSIVE:
        return _what_decides(job) or _OF_FAILURE[job.reason]
    if job.phase == "Failed":
        return _OF_FAILURE.get(job.reason, _AGAIN)
    if job.phase == "Succeeded":
        return _JUDGE if job.verdict == conditions.VERDICT_NO_LIMITS else _REPORT
    if not job.phase:
        return _NOT_SEEN
    return _OF_WAITING.get(job.reason, "follow it: kubectl compress status {name} --watch")


def _what_decides(job: Job) -> str:
    """Return what would decide the limits that stayed open; "" where the status does not say."""
    longer, samples = time_limit_that_decides(job), samples_that_decide(job)
    ways = []
    if longer:
        ways.append(
            f"measure longer, from its checkpoints: kubectl compress retry {{name}} --set {TIME_LIMIT}={longer}"
        )
    if samples:
        ways.append(
            f"quality needs more samples: set spec.data.evaluation.limit to {samples} in the manifest, and submit it "
            "under another name: kubectl compress submit FILE --name NEW"
        )
    return "; ".join(ways)
