"""The pod failure policy: which failures count, which end the Job at once, and which are ignored."""

from typing import Any, Final

from compressionjob.exit_codes import PERMANENT
from compressionjob.pod_interface import CONTAINER

POD_FAILURE_POLICY: Final[dict[str, Any]] = {
    # The first matching rule decides; other failures count against backoffLimit and are retried with backoff.
    "rules": [
        # Preempted, drained, evicted by pressure or lost with its node: retried and not counted.
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        # Invalid, impossible, out of disk: a retry would fail the same way. If the container exceeded its memory
        # limit, the exit code is that of any SIGKILL: the operator reads the reason and ends the Job.
        {
            "action": "FailJob",
            "onExitCodes": {
                "containerName": CONTAINER,
                "operator": "In",
                "values": sorted(int(code) for code in PERMANENT),
            },
        },
    ]
}
