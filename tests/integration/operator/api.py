"""Access to the API server for tests: raw JSON with a kubeconfig, and a stand-in for scheduler and kubelet."""

import base64
import json
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import urllib3
import yaml

GROUP = "/apis/compression-operator.io/v1alpha1"

T = TypeVar("T")


class Refusal(Exception):
    """The API server refused a request."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Api:
    """One user's access to one API server."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        if "client-certificate-data" in user:
            with tempfile.TemporaryDirectory() as folder:
                for name in ("certificate", "key"):
                    Path(folder, name).write_bytes(base64.b64decode(user[f"client-{name}-data"]))
                context.load_cert_chain(Path(folder, "certificate"), Path(folder, "key"))
        headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self.headers: dict[str, str] = headers
        self._pool = urllib3.PoolManager(ssl_context=context, maxsize=8)
        self._server = cluster["server"]

    def send(self, method: str, path: str, body: Any = None, content: str = "application/json") -> dict[str, Any]:
        """Send one request; raises Refusal for an answer of 400 or more."""
        data = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, "Content-Type": content}
        answer = self._pool.request(method, self._server + path, body=data, headers=headers, retries=2)
        value: dict[str, Any] = json.loads(answer.data)
        if answer.status >= 400:
            raise Refusal(answer.status, value.get("message", ""))
        return value

    def get(self, path: str) -> dict[str, Any] | None:
        """Read an object, or None when it is not there."""
        try:
            return self.send("GET", path)
        except Refusal as refusal:
            if refusal.code == 404:
                return None
            raise

    def items(self, path: str) -> list[dict[str, Any]]:
        """Read a list."""
        value: list[dict[str, Any]] = self.send("GET", path)["items"] or []
        return value

    def patch(self, path: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Change fields of an object."""
        return self.send("PATCH", path, patch, "application/merge-patch+json")


@dataclass(frozen=True)
class Namespace:
    """A namespace of its own for one test, with helpers for the steps of tests."""

    api: Api
    name: str

    def path(self, kind: str, name: str = "", subresource: str = "") -> str:
        """The URL path of cpj, cprv, jobs, pods or events here."""
        roots = {
            "cpj": GROUP,
            "cprv": GROUP,
            "jobs": "/apis/batch/v1",
            "pods": "/api/v1",
            "events": "/apis/events.k8s.io/v1",
        }
        plural = {"cpj": "compressionjobs", "cprv": "compressionreviews"}.get(kind, kind)
        return "/".join(part for part in (f"{roots[kind]}/namespaces/{self.name}/{plural}", name, subresource) if part)

    def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create a CompressionJob here; one that names no other destination has one of its own."""
        manifest["metadata"]["namespace"] = self.name
        output, name = manifest.get("spec", {}).get("output", {}), manifest["metadata"]["name"]
        if output.get("destination") == f"s3://models/{name}":
            output["destination"] = f"s3://models/{self.name}/{name}"
        return self.api.send("POST", self.path("cpj"), manifest)

    def review(self, job: str, decision: str, **more: str | None) -> dict[str, Any]:
        """Create a CompressionReview here: of the job and its digest as they are now, or as ``more`` says."""
        value = self.job(job) or {"metadata": {}}
        binding = {"jobUID": value["metadata"].get("uid"), "digest": value.get("status", {}).get("digest")}
        spec = {"job": job, "decision": decision, "reason": "looked at it", "reviewer": "rita", **binding, **more}
        manifest = {
            "apiVersion": "compression-operator.io/v1alpha1",
            "kind": "CompressionReview",
            "metadata": {"generateName": f"{job}-"},
            "spec": spec,
        }
        return self.api.send("POST", self.path("cprv"), manifest)

    def job(self, name: str) -> dict[str, Any] | None:
        """A CompressionJob."""
        return self.api.get(self.path("cpj", name))

    def status(self, name: str) -> dict[str, Any]:
        """Its status, empty when there is none."""
        value: dict[str, Any] = (self.job(name) or {}).get("status", {})
        return value

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """One of its conditions, empty when there is none."""
        return next((item for item in self.status(name).get("conditions", []) if item["type"] == kind), {})

    def children(self) -> list[dict[str, Any]]:
        """All Jobs here."""
        return self.api.items(self.path("jobs"))

    def child(self) -> dict[str, Any]:
        """The one Job here, waited for."""
        (child,) = wait_for("a child Job", self.children)
        return child

    def pods(self) -> list[dict[str, Any]]:
        """All pods here that are not being deleted."""
        return [pod for pod in self.api.items(self.path("pods")) if "deletionTimestamp" not in pod["metadata"]]

    def pod(self, other_than: str = "") -> str:
        """The name of the one pod here that has not ended, waited for."""

        def look() -> list[str]:
            alive = [pod for pod in self.pods() if pod["status"]["phase"] in ("Pending", "Running")]
            return [pod["metadata"]["name"] for pod in alive if pod["metadata"]["name"] != other_than]

        (name,) = wait_for("a pod", look)
        return name

    def set_pod(self, name: str, **status: Any) -> None:
        """Be the kubelet or the scheduler: write a pod's status."""
        self.api.patch(self.path("pods", name, "status"), {"status": status})

    def run_pod(self, name: str, ip: str = "127.0.0.1", ago: float = 0) -> None:
        """Be the kubelet that starts a pod, or did so some seconds ago."""
        now = clock(-ago)
        self.set_pod(
            name,
            phase="Running",
            podIP=ip,
            podIPs=[{"ip": ip}],
            conditions=[{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}],
            containerStatuses=[container({"running": {"startedAt": now}})],
        )

    def end_pod(self, name: str, code: int = 0, message: str = "", reason: str = "") -> None:
        """Be the kubelet that sees a pod end."""
        reason = reason or ("Completed" if code == 0 else "Error")
        pod = self.api.send("GET", self.path("pods", name))
        state: dict[str, Any] = next((item["state"] for item in pod["status"].get("containerStatuses", [])), {})
        started = state.get("running", {}).get("startedAt")
        end = {"exitCode": code, "reason": reason, "message": message, "startedAt": started, "finishedAt": clock()}
        self.set_pod(name, phase="Failed" if code else "Succeeded", containerStatuses=[container({"terminated": end})])

    def notes_about(self, uid: str) -> list[str]:
        """Notes of the Events about an object here."""
        events = self.api.items(self.path("events"))
        return [item["note"] for item in events if item["regarding"].get("uid") == uid]

    def event_reasons(self) -> set[str]:
        """Reasons of the Events about CompressionJobs here."""
        return {
            item["reason"]
            for item in self.api.items(self.path("events"))
            if item["regarding"]["kind"] == "CompressionJob"
        }


def clock(seconds: float = 0) -> str:
    """The time in so many seconds as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def container(state: dict[str, Any]) -> dict[str, Any]:
    """The runner's container status in a state."""
    return {"name": "runner", "image": "x", "imageID": "x", "ready": False, "restartCount": 0, "state": state}


def wait_for(what: str, look: Callable[[], T | None], seconds: float = 60, pause: float = 0.05) -> T:
    """Poll until ``look`` returns something; fail with ``what`` after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = look()
        if value:
            return value
        time.sleep(pause)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def wait_equal(what: str, look: Callable[[], T], wanted: T, seconds: float = 60) -> None:
    """Poll until the value is the wanted one; fail with the actual value."""
    seen = look()
    end = time.monotonic() + seconds
    while seen != wanted:
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}; seen {seen!r}, wanted {wanted!r}")
        time.sleep(0.05)
        seen = look()


def phase_is(namespace: Namespace, phase: str, name: str = "minilm-int8") -> dict[str, Any]:
    """Wait until a job has this phase and return its status."""
    return wait_for(
        f"{name} is {phase}",
        lambda: status if (status := namespace.status(name)).get("phase") == phase else None,
    )
