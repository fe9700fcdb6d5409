"""The interface between the operator and the runner's pod: environment variables, paths, ports and HTTP routes.

The operator writes them into the child Job, and the runner reads them. The runner returns the verdict in the
termination message (``report.Summary``), and the kind of failure as the exit code (``exit_codes``).
"""

from enum import StrEnum
from typing import Final

from compressionjob.group import GROUP
from compressionjob.locations import PVC_MOUNT_ROOT

CORRECT_KEYS: Final = "correct the keys in the Secret"
"""Start of the remedy when an object store refuses keys. The operator appends the command."""

CONTAINER: Final = "runner"
"""Name of the container that runs the job."""

INPUT_ANNOTATION: Final = f"{GROUP}/input"
"""Annotation of a pod with its input (``pod_input``). The volume INPUT_VOLUME shows it as a file."""
INPUT_VARIABLE: Final = "COMPRESSION_INPUT"
"""Path of the file with the input."""
INPUT_DIGEST_VARIABLE: Final = "COMPRESSION_INPUT_DIGEST"
"""Digest of the input that the operator wrote. An annotation can change while a pod runs, a variable cannot."""
JOB_VARIABLE: Final = "COMPRESSION_JOB"
"""The CompressionJob as JSON, in a pod of an older operator, which has no input. REVIEW and JUDGED are the same."""
PART_VARIABLE: Final = "COMPRESSION_PART"
"""The part of the job that the pod runs (``job_parts``); Run by default."""
REVIEW_VARIABLE: Final = "COMPRESSION_REVIEW"
"""The review that approved the publication, as JSON."""
JUDGED_VARIABLE: Final = "COMPRESSION_JUDGED"
"""The judged result (``report.JudgedResult``) as JSON, in a pod that publishes. It comes from the job's status. The pod
may publish no other."""
CLEAN_VARIABLE: Final = "COMPRESSION_CLEAN"
"""In a pod that cleans up: the kinds of files to remove (``retention.Retained``), as a JSON list."""
KNOWN_JOBS_VARIABLE: Final = "COMPRESSION_KNOWN_JOBS"
"""In a pod that cleans up: the first UID_CHARACTERS of the uids of all jobs, with commas between them."""
UID_CHARACTERS: Final = 8
LIFETIME_VARIABLE: Final = "COMPRESSION_CHECKPOINT_LIFETIME"
"""How long the checkpoints of the job are kept after its end, as a duration; without it they are kept."""
PRICE_VARIABLE: Final = "COMPRESSION_PRICE_PER_HOUR"
"""Price of an hour of the pod's hardware."""
ISOLATION_VARIABLE: Final = "COMPRESSION_ISOLATION"
"""Isolation of the pod's CPUs while it measures (``measuring.Isolation``)."""
CPUS_VARIABLE: Final = "COMPRESSION_CPUS"
"""Number of CPUs reserved for the container (``requests.cpu``, rounded up); 0 without a reservation."""
STORES_VARIABLE: Final = "COMPRESSION_STORES"
"""The CompressionStores that the job names (a list of ``stores.StoreConnection``) as JSON. The operator vouches for
these addresses, whatever the job contains."""
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
SHARED_MEMORY: Final = "/dev/shm"
"""Memory that the processes of an engine share. Container runtimes give 64 MiB, and vLLM needs more."""
TERMINATION_LOG: Final = "/dev/termination-log"
"""The kubelet's default."""
ENGINES: Final = "/opt/engines"
INPUT_MOUNT: Final = "/etc/compression-operator"
"""Mount path of the pod's input, which is the file INPUT_FILE in it."""
INPUT_VOLUME: Final = "input"
INPUT_FILE: Final = "input"
INPUT_JOB, INPUT_REVIEW, INPUT_JUDGED = "job", "review", "judged"
"""Names of the documents in the input: the job, and in a pod that publishes the review and the judged result."""
RESERVED_MOUNTS: Final = (WORKDIR, TMP, SHARED_MEMORY, PVC_MOUNT_ROOT, INPUT_MOUNT)
"""Paths at which the operator mounts volumes. Volumes of a runtime cannot use them."""

PORT: Final = 8080
METRICS_PATH: Final = "/metrics"
PROGRESS_PATH: Final = "/progress"
HEALTH_PATH: Final = "/healthz"


class Role(StrEnum):
    """The use of credentials. Each role may have its own Secret. The value is the prefix of its variables."""

    MODEL = "MODEL"
    DATA = "DATA"
    OUTPUT = "OUTPUT"


ACCESS_KEY_ID: Final = "AWS_ACCESS_KEY_ID"
SECRET_ACCESS_KEY: Final = "AWS_SECRET_ACCESS_KEY"
SESSION_TOKEN: Final = "AWS_SESSION_TOKEN"
"""Keys of a Secret with S3 credentials; the session token is optional."""
ENDPOINT_URL: Final = "AWS_ENDPOINT_URL"
"""Optional key of the same Secret: the only endpoint that its keys may be sent to."""
HUB_TOKEN_KEY: Final = "HF_TOKEN"
"""Key of a Secret with a token of the Hugging Face Hub, and the variable that huggingface_hub reads."""
HUB_TOKEN_VARIABLE: Final = f"HUB_{HUB_TOKEN_KEY}"
"""The job's own token of the Hub."""
HUB_ENDPOINT_KEY: Final = "HF_ENDPOINT"
"""Optional key of the same Secret: the only address that its token may be sent to; huggingface.co by default."""
HUB_ENDPOINT_VARIABLE: Final = f"HUB_{HUB_ENDPOINT_KEY}"
"""The address that the job's own token may be sent to."""


def credential_variable(role: Role, key: str) -> str:
    """Return the name of the variable with a key of a role's Secret, such as ``MODEL_AWS_ACCESS_KEY_ID``."""
    return f"{role}_{key}"
