"""Which ends of a pod count, which end the Job at once, and which are not the job's fault."""

from typing import Any, Final

from compressionjob.exit_codes import PERMANENT
from compressionjob.pod import CONTAINER

POD_FAILURE_POLICY: Final[dict[str, Any]] = {
    # The first rule that fits decides; what fits none counts against backoffLimit and is tried again with backoff.
    "rules": [
        # Preempted, drained, evicted by pressure or lost with its node: tried again, not counted.
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        # Invalid, impossible, out of disk: another try would end the same way. Where the container was over its memory
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
