"""The contract between the operator and the runner's pod: environment variables, paths, ports and HTTP routes.

The operator writes what is here into the child Job; the runner reads it. The verdict comes back in the termination
message (``report.Summary``), the kind of failure as the exit code (``exit_codes``).
"""

from enum import StrEnum
from typing import Final

from compressionjob.group import GROUP
from compressionjob.locations import PVC_MOUNT_ROOT

CORRECT_KEYS: Final = "correct the keys in the Secret"
"""How the remedy begins where an object store refuses keys; the operator adds the command."""

CONTAINER: Final = "runner"
"""Name of the container that runs the job."""

INPUT_ANNOTATION: Final = f"{GROUP}/input"
"""Annotation of a pod: its input (``pod_input``), which the volume INPUT_VOLUME shows as a file."""
INPUT_VARIABLE: Final = "COMPRESSION_INPUT"
"""The file of the input."""
INPUT_DIGEST_VARIABLE: Final = "COMPRESSION_INPUT_DIGEST"
"""The digest of the input as the operator wrote it: an annotation can change while a pod runs, a variable cannot."""
JOB_VARIABLE: Final = "COMPRESSION_JOB"
"""The CompressionJob as JSON, in a pod of an older operator, which has no input; so are REVIEW and JUDGED."""
PART_VARIABLE: Final = "COMPRESSION_PART"
"""The part of the job that the pod does (``parts``); a whole job without it."""
REVIEW_VARIABLE: Final = "COMPRESSION_REVIEW"
"""The review that allows a pod to publish, as JSON."""
JUDGED_VARIABLE: Final = "COMPRESSION_JUDGED"
"""What was judged (``report.Judged``), as JSON, in a pod that publishes. It comes from the job's status, and nothing
else says what may be published."""
CLEAN_VARIABLE: Final = "COMPRESSION_CLEAN"
"""In a pod that cleans up: what it removes (``retention.Retained``), as a JSON list."""
PRICE_VARIABLE: Final = "COMPRESSION_PRICE_PER_HOUR"
"""The price of an hour of the hardware that the pod runs on."""
ISOLATION_VARIABLE: Final = "COMPRESSION_ISOLATION"
"""What keeps others off the pod's CPUs while it measures (``measuring.Isolation``)."""
CPUS_VARIABLE: Final = "COMPRESSION_CPUS"
"""The number of CPUs that are reserved for the container (its ``requests.cpu``, rounded up); 0 where none are."""
STORES_VARIABLE: Final = "COMPRESSION_STORES"
"""The CompressionStores that the job names (a list of ``stores.StoreConnection``), as JSON: addresses that the operator
stands for, whatever the job says."""
WORKDIR_VARIABLE: Final = "COMPRESSION_WORKDIR"
"""The work directory, WORKDIR by default."""
PORT_VARIABLE: Final = "COMPRESSION_PORT"
"""The port of the pod's HTTP server, PORT by default."""
TERMINATION_LOG_VARIABLE: Final = "COMPRESSION_TERMINATION_LOG"
"""The file of the termination message, TERMINATION_LOG by default."""
ENGINES_VARIABLE: Final = "COMPRESSION_ENGINES"
"""The folder of quantization engines in the image, ENGINES by default."""

WORKDIR: Final = "/work"
TMP: Final = "/tmp"
TERMINATION_LOG: Final = "/dev/termination-log"
"""The kubelet's default."""
ENGINES: Final = "/opt/engines"
INPUT_MOUNT: Final = "/etc/compression-operator"
"""Where the pod's input is mounted, as the file INPUT_FILE."""
INPUT_VOLUME: Final = "input"
INPUT_FILE: Final = "input"
INPUT_JOB, INPUT_REVIEW, INPUT_JUDGED = "job", "review", "judged"
"""Names of the documents in the input: the job, and in a pod that publishes the review and what was judged."""
RESERVED_MOUNTS: Final = (WORKDIR, TMP, PVC_MOUNT_ROOT, INPUT_MOUNT)
"""Paths at which the operator mounts volumes; a runtime cannot."""

PORT: Final = 8080
METRICS_PATH: Final = "/metrics"
PROGRESS_PATH: Final = "/progress"
HEALTH_PATH: Final = "/healthz"


class Role(StrEnum):
    """What credentials are for: each role may have a Secret of its own. The value is the prefix of its variables."""

    MODEL = "MODEL"
    DATA = "DATA"
    OUTPUT = "OUTPUT"


ACCESS_KEY_ID: Final = "AWS_ACCESS_KEY_ID"
SECRET_ACCESS_KEY: Final = "AWS_SECRET_ACCESS_KEY"
SESSION_TOKEN: Final = "AWS_SESSION_TOKEN"
"""Keys of a Secret with S3 credentials; the session token is optional."""
ENDPOINT_URL: Final = "AWS_ENDPOINT_URL"
"""Optional key of the same Secret: the only endpoint that its keys are for."""
HUB_TOKEN_KEY: Final = "HF_TOKEN"
"""Key of a Secret with a token of the Hugging Face Hub, and the variable that the Hub's own tools read."""
HUB_TOKEN_VARIABLE: Final = f"HUB_{HUB_TOKEN_KEY}"
"""The job's own token of the Hub."""
HUB_ENDPOINT_KEY: Final = "HF_ENDPOINT"
"""Optional key of the same Secret: the only address that its token is for; huggingface.co without it."""
HUB_ENDPOINT_VARIABLE: Final = f"HUB_{HUB_ENDPOINT_KEY}"
"""The address that the job's own token is for."""


def credential_variable(role: Role, key: str) -> str:
    """Return the variable in which a pod finds a key of a role's Secret, such as ``MODEL_AWS_ACCESS_KEY_ID``."""
    return f"{role}_{key}"
