"""Jobs in every phase, as the operator itself leaves them."""

from dataclasses import dataclass
from typing import Any, Final

from compression_operator.records.job import JobRecord
from tests.support.operator.builders import (
    child,
    complete,
    ended_pod,
    failed,
    job,
    observe,
    pod,
    running_pod,
    settle,
    summary,
    violation,
)

NO_NODE: Final = (("PodScheduled", "False", "Unschedulable", "no node"),)


@dataclass(frozen=True)
class Situation:
    """The observed state of a job, its phase, and the reading of other tools.

    ``kstatus`` is the word of sigs.k8s.io/cli-utils, ``health`` that of Argo CD.
    """

    title: str
    phase: str
    kstatus: str
    health: str
    seen: dict[str, Any]
    spec: dict[str, Any]

    def job(self) -> JobRecord:
        """Return the job after a reconcile."""
        return settle(observe(job(**self.spec), **self.seen))[0]


def _situation(title: str, read: str, spec: dict[str, Any] | None = None, **seen: Any) -> Situation:
    phase, kstatus, health = read.split()
    return Situation(title, phase, kstatus, health, seen, spec or {})


def _waiting(reason: str, message: str) -> Any:
    return pod(state={"waiting": {"reason": reason, "message": message}})


_REVIEWED: Final = summary(published=False, held=True, digest="sha256:" + "a" * 64)
_REFUSED: Final = ended_pod(code=2, message=violation("InvalidInput"))

SITUATIONS: Final = (
    _situation("the Job has no pod", "Pending InProgress Progressing", child=child()),
    _situation("no node", "Pending InProgress Progressing", child=child(active=1), pods=(pod(conditions=NO_NODE),)),
    _situation("no runtime", "Pending InProgress Degraded", without_runtime=True),
    _situation(
        "no image", "Pending InProgress Degraded", child=child(active=1), pods=(_waiting("ImagePullBackOff", "gone"),)
    ),
    _situation("it runs", "Running InProgress Progressing", child=child(active=1), pods=(running_pod(),)),
    _situation("held", "Suspended InProgress Suspended", {"spec__suspend": True}, child=child(suspend=True)),
    _situation(
        "it waits for a review", "AwaitingReview InProgress Suspended", {"spec__review": "Always"},
        child=complete(), pods=(ended_pod(message=_REVIEWED),),
    ),
    _situation("Pass", "Succeeded Current Healthy", child=complete(), pods=(ended_pod(message=summary()),)),
    _situation(
        "Fail", "Failed Failed Degraded", child=complete(),
        pods=(ended_pod(message=summary("Fail", published=False)),),
    ),
    _situation("refused", "Failed Failed Degraded", {"spec__model__task": "cooking"}),
    _situation(
        "bad input", "Failed Failed Degraded", child=failed("PodFailurePolicy"), pods=(_REFUSED,), confirmed=True
    ),
)  # fmt: skip
