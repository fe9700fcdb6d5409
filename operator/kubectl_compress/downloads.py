"""A job's report from where it lies: from S3 with the user's own credentials; elsewhere, how to get it.

The Secret of the job is never read: who may see a CompressionJob need not be one who may see its keys.
"""

import json
from dataclasses import dataclass
from typing import Final

from compressionjob.locations import PVC_MOUNT_ROOT, Location, parse_location
from kubectl_compress.errors import DownloadFailed, PluginError
from kubectl_compress.job import Job

FORMATS: Final = (".html", ".json", ".md")
_NAME: Final = "report"
_INSTALL: Final = "pipx install --force '.[kubectl-s3]' in a clone of the operator's repository"
_READER: Final = "read-report"


@dataclass(frozen=True)
class ReportPlace:
    """The folder of a job's report; ``endpoint`` and ``region`` are None where AWS's own apply."""

    location: Location
    namespace: str
    endpoint: str | None = None
    region: str | None = None

    def url(self, suffix: str) -> str:
        """Where the report of a format lies."""
        return str(self.location.child(f"{_NAME}{suffix}"))


def place_of(job: Job, endpoint: str = "") -> ReportPlace:
    """Where a job's report lies; ``endpoint`` replaces that of the job, which may be reachable in the cluster only."""
    folder = str(job.status.get("report", "")).removesuffix(f"/{_NAME}.json")
    if not folder:
        raise DownloadFailed(f"the status of {job.name} does not say where its report is", "see spec.output.reports")
    storage = job.spec.get("output", {}).get("storage") or job.spec.get("storage") or {}
    return ReportPlace(
        parse_location(folder), job.namespace, endpoint or storage.get("endpoint"), storage.get("region")
    )


def fetch(place: ReportPlace, suffix: str) -> bytes:
    """The report in a format: .html, .json or .md.

    Raises DownloadFailed, which says how to get it otherwise, for what does not lie in S3 or is not given.
    """
    if place.location.scheme == "s3":
        return _fetch_from_s3(place, suffix)
    if place.location.scheme == "pvc":
        remedy = f"a pod that mounts the claim can print it:\n{pod_command(place, suffix)}"
        raise DownloadFailed(f"{place.url(suffix)} lies on a volume, which only a pod can read", remedy)
    remedy = "ask the platform team where this folder of the runtime is kept, or set spec.output.reports to s3://"
    raise DownloadFailed(f"{place.url(suffix)} lies on a volume of the job's runtime", remedy)


def pod_command(place: ReportPlace, suffix: str) -> str:
    """A command that prints a report on a claim, by a pod that passes the restricted Pod Security Standard."""
    path = f"{PVC_MOUNT_ROOT}/{place.location.child(_NAME + suffix).path}"
    spec = {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": _READER,
                "image": "busybox",
                "command": ["cat", path],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "claim", "mountPath": PVC_MOUNT_ROOT, "readOnly": True}],
            }
        ],
        "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": place.location.container}}],
    }
    overrides = json.dumps({"spec": spec}, separators=(",", ":"))
    return (
        f"  kubectl run {_READER} --namespace={place.namespace} --image=busybox --restart=Never \\\n"
        f"    --rm --stdin --quiet \\\n"
        f"    --overrides='{overrides}' \\\n    > {_NAME}{suffix}"
    )


def _fetch_from_s3(place: ReportPlace, suffix: str) -> bytes:
    url = place.url(suffix)
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        remedy = f"{_INSTALL}, or: aws s3 cp {url} {_NAME}{suffix}"
        remedy += f" --endpoint-url {place.endpoint}" if place.endpoint else ""
        raise DownloadFailed(f"{url} cannot be fetched without boto3", remedy) from error
    style = {"addressing_style": "path" if place.endpoint else "auto"}
    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}, s3=style)
    key = place.location.child(f"{_NAME}{suffix}").path
    try:
        client = boto3.session.Session().client(
            "s3", endpoint_url=place.endpoint, region_name=place.region or "us-east-1", config=config
        )
        return bytes(client.get_object(Bucket=place.location.container, Key=key)["Body"].read())
    except ClientError as error:
        raise _refused(error.response.get("Error", {}), url) from error
    except BotoCoreError as error:
        raise _unanswered(type(error).__name__, str(error), url, place.endpoint) from error


def _refused(error: dict[str, str], url: str) -> PluginError:
    code, said = error.get("Code", ""), error.get("Message", "")
    if code in ("NoSuchKey", "404"):
        return DownloadFailed(f"there is no {url}", "another format may be there: --save report.html or report.json")
    return DownloadFailed(
        f"{url}: the object store says {code}: {said}",
        "your own keys are used, not the job's: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )


def _unanswered(kind: str, said: str, url: str, endpoint: str | None) -> PluginError:
    if "Credentials" in kind or "Profile" in kind:
        remedy = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; the job's Secret is not read"
    elif endpoint:
        remedy = f"the job's endpoint {endpoint} may be for the cluster only: give yours with --endpoint"
    else:
        remedy = "check that the object store is running, or name another with --endpoint"
    return DownloadFailed(f"{url}: {said}", remedy)
