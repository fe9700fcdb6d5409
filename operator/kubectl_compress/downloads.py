"""Download a job's report: from S3 with the user's own credentials; for other stores, describe how to get it.

The Secret of the job is never read: a user who may see a CompressionJob may not be allowed to see its keys. An
endpoint that the job names never gets the user's session token, nor keys that the user's configuration binds to
another endpoint.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from compressionjob.endpoints import is_aws_s3, same_endpoint
from compressionjob.locations import PVC_MOUNT_ROOT, Location, parse_location
from kubectl_compress.errors import DownloadFailed, PluginError
from kubectl_compress.job import Job

FORMATS: Final = (".html", ".json", ".md")
_NAME: Final = "report"
_INSTALL: Final = "pipx install --force '.[kubectl-s3]' in a clone of the operator's repository"
_READER: Final = "read-report"


@dataclass(frozen=True)
class ReportLocation:
    """The folder of a job's report; ``endpoint`` and ``region`` are None for AWS's defaults.

    ``confirmed``: the user gave the endpoint, not the job.
    """

    location: Location
    namespace: str
    endpoint: str | None = None
    region: str | None = None
    confirmed: bool = False

    def url(self, suffix: str) -> str:
        """Return the URL of the report with a suffix, such as .html."""
        return str(self.location.child(f"{_NAME}{suffix}"))


def report_location(job: Job, endpoint: str = "") -> ReportLocation:
    """Return the location of a job's report; ``endpoint`` replaces the job's, which may be internal to the cluster."""
    folder = str(job.status.get("report", "")).removesuffix(f"/{_NAME}.json")
    if not folder:
        raise DownloadFailed(f"the status of {job.name} has no location of the report", "see spec.output.reports")
    storage = _output_storage(job)
    return ReportLocation(
        parse_location(folder),
        job.namespace,
        endpoint or storage.get("endpoint"),
        storage.get("region"),
        confirmed=bool(endpoint),
    )


def _output_storage(job: Job) -> dict[str, Any]:
    """Return endpoint and region of the output: of the CompressionStore, as the job used it, or of the spec."""
    storage = job.spec.get("output", {}).get("storage") or job.spec.get("storage") or {}
    stores = {item.get("name"): item for item in job.status.get("stores") or ()}
    return dict(stores.get(storage.get("store"), storage))


def fetch(report: ReportLocation, suffix: str) -> bytes:
    """Download the report with a suffix: .html, .json or .md.

    Raises DownloadFailed, with another way to get it, if it is not in S3 or cannot be read.
    """
    if report.location.scheme == "s3":
        return _fetch_from_s3(report, suffix)
    if report.location.scheme == "pvc":
        remedy = f"a pod that mounts the claim can print it:\n{pod_command(report, suffix)}"
        raise DownloadFailed(f"{report.url(suffix)} is on a volume, which only a pod can read", remedy)
    remedy = "ask the platform team where this folder of the runtime is kept, or set spec.output.reports to s3://"
    raise DownloadFailed(f"{report.url(suffix)} is on a volume of the job's runtime", remedy)


def pod_command(report: ReportLocation, suffix: str) -> str:
    """Return a command that prints a report on a claim, by a pod that passes the restricted Pod Security Standard."""
    path = f"{PVC_MOUNT_ROOT}/{report.location.child(_NAME + suffix).path}"
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
        "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": report.location.container}}],
    }
    overrides = json.dumps({"spec": spec}, separators=(",", ":"))
    return (
        f"  kubectl run {_READER} --namespace={report.namespace} --image=busybox --restart=Never \\\n"
        f"    --rm --stdin --quiet \\\n"
        f"    --overrides='{overrides}' \\\n    > {_NAME}{suffix}"
    )


def _fetch_from_s3(report: ReportLocation, suffix: str) -> bytes:
    url = report.url(suffix)
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        remedy = f"{_INSTALL}, or: aws s3 cp {url} {_NAME}{suffix}"
        if report.endpoint:
            condition = "" if report.confirmed else ", if you trust that server with your credentials"
            remedy += f" --endpoint-url {report.endpoint}{condition}"
        raise DownloadFailed(f"{url} cannot be fetched without boto3", remedy) from error
    style = {"addressing_style": "path" if report.endpoint else "auto"}
    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}, s3=style)
    key = report.location.child(f"{_NAME}{suffix}").path
    try:
        session = boto3.session.Session()
        _require_bound(session, report, url)
        client = session.client(
            "s3", endpoint_url=report.endpoint, region_name=report.region or "us-east-1", config=config
        )
        return bytes(client.get_object(Bucket=report.location.container, Key=key)["Body"].read())
    except ClientError as error:
        raise _refused(error.response.get("Error", {}), url) from error
    except BotoCoreError as error:
        raise _unanswered(type(error).__name__, str(error), url, report.endpoint) from error


def _require_bound(session: Any, report: ReportLocation, url: str) -> None:
    """Raise DownloadFailed if the user's credentials are not for the endpoint that the job names.

    An endpoint of the user's own configuration (AWS_ENDPOINT_URL, a profile) is the only one that they are for. Without
    it keys may go anywhere, since a signature does not reveal them, but a session token goes to AWS only.
    """
    endpoint, credentials = report.endpoint, session.get_credentials()
    if endpoint is None or report.confirmed or credentials is None:
        return
    own = str(session.client("s3", region_name=report.region or "us-east-1").meta.endpoint_url)
    if same_endpoint(own, endpoint) or (is_aws_s3(own) and is_aws_s3(endpoint)):
        return
    if is_aws_s3(own) and not credentials.get_frozen_credentials().token:
        return
    what = "session token is for AWS" if is_aws_s3(own) else f"AWS credentials are for {own}"
    raise DownloadFailed(
        f"{url}: your {what} only, and the job names the endpoint {endpoint}",
        f"if you trust that server with your credentials, add --endpoint={endpoint}",
    )


def _refused(error: dict[str, str], url: str) -> PluginError:
    code, message = error.get("Code", ""), error.get("Message", "")
    if code in ("NoSuchKey", "404"):
        return DownloadFailed(f"there is no {url}", "another format may be there: --save report.html or report.json")
    return DownloadFailed(
        f"{url}: the object store answered {code}: {message}",
        "your own keys are used, not the job's: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )


def _unanswered(kind: str, message: str, url: str, endpoint: str | None) -> PluginError:
    if "Credentials" in kind or "Profile" in kind:
        remedy = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; the job's Secret is not read"
    elif endpoint:
        remedy = f"the job's endpoint {endpoint} may be for the cluster only: give yours with --endpoint"
    else:
        remedy = "check that the object store is running, or name another with --endpoint"
    return DownloadFailed(f"{url}: {message}", remedy)
