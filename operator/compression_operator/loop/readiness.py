"""The conditions for other tools: Ready, and Reconciling or Stalled as kstatus defines them.

For Flux, Argo CD and ``helm --wait`` (https://pkg.go.dev/sigs.k8s.io/cli-utils/pkg/kstatus/status), a CompressionJob is
in progress while Reconciling is True, failed while Stalled is True, and done when Ready is True.
"""

from collections.abc import Mapping
from typing import Final, Literal

from compressionjob.conditions import READY, RECONCILING, STALLED, Condition
from compressionjob.status import CompressionJobStatus

MAX_MESSAGE: Final = 200
RUNNING: Final = "a pod of the job is running"
"""Fixed message of a job with a running pod, whose own message changes with each step."""


def readiness(status: CompressionJobStatus, conditions: Mapping[str, Condition], now: str) -> list[Condition]:
    """Derive the conditions from phase, reason and message of a status; ``now`` is the time of a change.

    Reconciling and Stalled are absent if they are not True, as kstatus advises.
    """
    ended = status.phase in ("Succeeded", "Failed")
    holds: dict[str, Literal["True", "False"]] = {READY: "True" if status.phase == "Succeeded" else "False"}
    if not ended:
        holds[RECONCILING] = "True"
    if status.phase == "Failed":
        holds[STALLED] = "True"
    message = RUNNING if status.phase == "Running" else status.message[:MAX_MESSAGE]
    return [
        Condition.model_construct(
            type=kind,
            status=value,
            reason=status.phase if kind == RECONCILING else status.reason or status.phase,
            message="" if kind == RECONCILING else message,
            last_transition_time=_since(kind, value, conditions, now),
            observed_generation=status.observed_generation,
        )
        for kind, value in holds.items()
    ]


def _since(kind: str, value: str, conditions: Mapping[str, Condition], now: str) -> str:
    """Return when a condition changed last; in a status of an older operator, when any condition changed last."""
    old = conditions.get(kind)
    if old is not None:
        return old.last_transition_time if old.status == value else now
    if READY in conditions:
        return now
    return max((item.last_transition_time for item in conditions.values()), default=now)
