"""Read and create CompressionJobs and related objects with kubectl."""

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from compressionjob.group import GROUP, JOB_PLURAL, RUNTIME_PLURAL, STORE_PLURAL, VERSION
from kubectl_compress.errors import ClusterError, Forbidden, NotFound
from kubectl_compress.job import Job
from kubectl_compress.kubectl import Kubectl

CHUNK: Final = 500
"""Objects in one page of a list; kubectl's own default."""
FIELD_MANAGER: Final = "kubectl-compress"

_SELF_REVIEW: Final = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
_WATCH_SECONDS: Final = 1800


@dataclass(frozen=True)
class Selection:
    """A selection of jobs, in one namespace or in all ("")."""

    namespace: str
    name: str = ""
    labels: str = ""

    def parameters(self) -> dict[str, str]:
        """Return the selectors of a list or a watch."""
        selectors = {"labelSelector": self.labels, "fieldSelector": f"metadata.name={self.name}" if self.name else ""}
        return {key: value for key, value in selectors.items() if value}


@dataclass(frozen=True)
class Page:
    """A part of a list, and the version from which a watch continues."""

    jobs: list[Job]
    version: str


@dataclass(frozen=True)
class Event:
    """One event of a watch."""

    kind: str
    object: Mapping[str, Any]


class Cluster:
    """A user's access to a cluster. Methods raise the errors of ``kubectl.error_of``."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl

    @property
    def namespace(self) -> str:
        """The namespace of this call."""
        return self.kubectl.namespace

    def job(self, name: str, namespace: str = "") -> Job:
        """Read one job, by default in the namespace of this call."""
        return Job(self._get(f"{collection(JOB_PLURAL, namespace or self.namespace)}/{quote(name, safe='')}"))

    def pages(self, selection: Selection) -> Iterator[Page]:
        """List jobs in pages of CHUNK, all of one resourceVersion."""
        parameters = {"limit": str(CHUNK), **selection.parameters()}
        while True:
            answer = self._get(f"{collection(JOB_PLURAL, selection.namespace)}?{urlencode(parameters)}")
            metadata = answer["metadata"]
            yield Page([Job(item) for item in answer.get("items") or ()], str(metadata.get("resourceVersion", "")))
            if not metadata.get("continue"):
                return
            parameters["continue"] = metadata["continue"]

    def jobs(self, selection: Selection) -> Iterator[Job]:
        """Yield all jobs of a selection."""
        for page in self.pages(selection):
            yield from page.jobs

    def watch(self, selection: Selection, version: str, seconds: float | None = None) -> Generator[Event, None, None]:
        """Yield the events after ``version``, until the server ends the watch or for at most ``seconds``."""
        limit = _WATCH_SECONDS if seconds is None else max(1, min(_WATCH_SECONDS, round(seconds)))
        parameters = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(limit),
            **selection.parameters(),
        }
        path = f"{collection(JOB_PLURAL, selection.namespace)}?{urlencode(parameters)}"
        for line in self.kubectl.lines("get", "--raw", path):
            event = json.loads(line)
            yield Event(event["type"], event["object"])

    def create(
        self, plural: str, namespace: str, manifest: Mapping[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Create an object of the group with strict validation; with ``dry_run`` the server stores nothing."""
        parameters = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"} | (
            {"dryRun": "All"} if dry_run else {}
        )
        return self._post(f"{collection(plural, namespace)}?{urlencode(parameters)}", manifest)

    def user(self) -> str:
        """Return the caller's user name in the cluster, which admission policies compare."""
        answer = self._post("/apis/authentication.k8s.io/v1/selfsubjectreviews", _SELF_REVIEW)
        name = str(answer.get("status", {}).get("userInfo", {}).get("username", ""))
        if not name:
            raise ClusterError("the cluster does not say who you are (SelfSubjectReview without a user name)")
        return name

    def read(self, path: str) -> dict[str, Any]:
        """Read the object or list at a path of the API."""
        return self._get(path)

    def runtimes(self) -> list[dict[str, Any]]:
        """Read all CompressionRuntimes."""
        items: list[dict[str, Any]] = self._get(collection(RUNTIME_PLURAL, "")).get("items") or []
        return items

    def labels_of(self, namespace: str) -> Mapping[str, str] | None:
        """Read the labels of a namespace; None if the user may not read them, or it does not exist."""
        try:
            answer = self._get(f"/api/v1/namespaces/{quote(namespace, safe='')}")
        except (Forbidden, NotFound):
            return None
        return dict(answer["metadata"].get("labels") or {})

    def stores(self, namespace: str) -> list[dict[str, Any]]:
        """Read the CompressionStores of a namespace."""
        items: list[dict[str, Any]] = self._get(collection(STORE_PLURAL, namespace)).get("items") or []
        return items

    def _get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.kubectl.run("get", "--raw", path))
        return answer

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            self.kubectl.run("create", "--raw", path, "--filename=-", stdin=json.dumps(body))
        )
        return answer


def collection(plural: str, namespace: str) -> str:
    """Return the URL path of a kind in a namespace, or in all of them ("")."""
    place = f"namespaces/{quote(namespace, safe='')}/" if namespace else ""
    return f"/apis/{GROUP}/{VERSION}/{place}{plural}"
