"""The conditions that every tool reads: Ready, and Reconciling or Stalled as kstatus defines them.

Flux, Argo CD and ``helm --wait`` (by https://pkg.go.dev/sigs.k8s.io/cli-utils/pkg/kstatus/status) know no
CompressionJob: for them it is in progress while Reconciling is True, failed while Stalled is, and done when Ready is.
"""

from collections.abc import Mapping
from typing import Final, Literal

from compressionjob.conditions import READY, RECONCILING, STALLED, Condition
from compressionjob.status import CompressionJobStatus

MAX_MESSAGE: Final = 200
RUNNING: Final = "a pod of the job is running"
"""Stands for the message of a job whose pod runs: that changes with each step."""


def readiness(status: CompressionJobStatus, conditions: Mapping[str, Condition], now: str) -> list[Condition]:
    """Return these conditions for a status whose phase, reason and message stand; ``now`` is the time of a change.

    Reconciling and Stalled are absent where they do not hold, as kstatus advises.
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
    """Return when a condition came to hold: in a status of an older operator, when another one changed last."""
    old = conditions.get(kind)
    if old is not None:
        return old.last_transition_time if old.status == value else now
    if READY in conditions:
        return now
    return max((item.last_transition_time for item in conditions.values()), default=now)
