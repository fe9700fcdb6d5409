"""Helpers of the end-to-end tests: kubectl, jobs and waiting."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl

JOB_LABEL = "compression-operator.io/job"
HANGS = 480
"""Seconds after which a job hangs: less than pytest allows a test, and more than the slowest machine needs."""

T = TypeVar("T")


@dataclass(frozen=True)
class Namespace:
    """kubectl in one namespace."""

    kubectl: Kubectl
    name: str

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return its output. Raises LocalClusterError with its message."""
        return self.kubectl.run("--namespace", self.name, *arguments, stdin=stdin)

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the items of ``kubectl get``."""
        items: list[dict[str, Any]] = self.kubectl.read("--namespace", self.name, "get", *arguments)["items"]
        return items

    def apply(self, manifest: dict[str, Any]) -> None:
        """Run ``kubectl apply``."""
        self("apply", "--filename=-", stdin=json.dumps(manifest))

    def job(self, manifest: dict[str, Any]) -> "Job":
        """Apply a CompressionJob."""
        self.apply(manifest)
        return Job(self, manifest["metadata"]["name"])


def wait_for(what: str, look: Callable[[], T | None], seconds: float = 180, pause: float = 0.5) -> T:
    """Call ``look`` until it returns a true value; return it. Fail with ``what`` after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = look()
        if value:
            return value
        time.sleep(pause)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


@dataclass(frozen=True)
class Job:
    """A CompressionJob in the cluster."""

    namespace: Namespace
    name: str

    @property
    def resource(self) -> dict[str, Any]:
        """The whole resource."""
        job: dict[str, Any] = self.namespace.kubectl.read("--namespace", self.namespace.name, "get", "cpj", self.name)
        return job

    @property
    def status(self) -> dict[str, Any]:
        """Its status; empty before the first reconcile."""
        status: dict[str, Any] = self.resource.get("status", {})
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        """Return one condition; empty if it is absent."""
        return next((item for item in self.status.get("conditions", []) if item["type"] == kind), {})

    def wait_phase(self, *phases: str, seconds: float = HANGS) -> dict[str, Any]:
        """Wait for one of these phases and return the status."""

        def look() -> dict[str, Any] | None:
            status = self.status
            if status.get("phase") in ("Succeeded", "Failed") and status["phase"] not in phases:
                raise AssertionError(
                    f"{self.name} ended as {status['phase']}: {status.get('message')}\n{self.diagnosis()}"
                )
            return status if status.get("phase") in phases else None

        try:
            return wait_for(f"{self.name} is {' or '.join(phases)}", look, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.diagnosis()}") from error

    def wait_end(self, seconds: float = HANGS) -> dict[str, Any]:
        """Wait until it has succeeded or failed."""
        return self.wait_phase("Succeeded", "Failed", seconds=seconds)

    def wait_condition(
        self, kind: str, status: str, reason: str = "", says: str = "", seconds: float = 120
    ) -> dict[str, Any]:
        """Wait for a condition with this status and reason, and with a message that contains ``says``."""

        def look() -> dict[str, Any] | None:
            condition = self.condition(kind)
            fits = condition.get("status") == status and reason in ("", condition.get("reason"))
            return condition if fits and says in condition.get("message", "") else None

        try:
            return wait_for(f"{self.name}: {kind}={status} {reason} {says}", look, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.diagnosis()}") from error

    def pods(self) -> list[dict[str, Any]]:
        """Return the existing pods of the job."""
        return self.namespace.items("pods", "-l", f"{JOB_LABEL}={self.name}")

    def children(self) -> list[dict[str, Any]]:
        """Return the batch/v1 Jobs of the job."""
        return self.namespace.items("jobs.batch", "-l", f"{JOB_LABEL}={self.name}")

    def running_pod(self, seconds: float = 120) -> str:
        """Wait for a running pod and return its name."""

        def look() -> str | None:
            names = [p["metadata"]["name"] for p in self.pods() if p["status"]["phase"] == "Running"]
            return names[0] if names else None

        return wait_for(f"a pod of {self.name} runs", look, seconds)

    def events(self) -> set[str]:
        """Return the reasons of the Events about the job."""
        selector = f"involvedObject.kind=CompressionJob,involvedObject.name={self.name}"
        return {item["reason"] for item in self.namespace.items("events", "--field-selector", selector)}

    def diagnosis(self) -> str:
        """Return status, pods and the last lines of their logs, for a failed assertion."""
        lines = [yaml.safe_dump(self.status)]
        for pod in self.pods():
            name = pod["metadata"]["name"]
            lines.append(f"--- pod {name}: {json.dumps(pod['status'].get('containerStatuses', []))[:1500]}")
            try:
                lines.append(self.namespace("logs", name, "--tail=30"))
            except LocalClusterError as error:
                lines.append(str(error))
        return "\n".join(lines)
