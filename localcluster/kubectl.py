"""The API of a cluster through kubectl, as for its users."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster import tools
from localcluster.command import run
from localcluster.waiting import until


@dataclass(frozen=True)
class Kubectl:
    """kubectl with one kubeconfig."""

    kubeconfig: Path

    def run(self, *arguments: str, stdin: str | None = None, timeout: float | None = 120.0) -> str:
        """Run kubectl and return its output. Raises LocalClusterError with its message if it fails."""
        return run([tools.kubectl(), "--kubeconfig", self.kubeconfig, *arguments], stdin=stdin, timeout=timeout)

    def read(self, *arguments: str) -> Any:
        """Run kubectl with JSON output and return the parsed output."""
        return json.loads(self.run(*arguments, "--output=json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or update objects by server-side apply."""
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.run("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=manifest)

    def wait_for_crds(self) -> None:
        """Wait until the API server serves the resources of every CRD.

        `kubectl wait` fails on a CRD without conditions, and a new CRD has none for a moment.
        """
        until("that every CRD is served", lambda: all(map(_is_established, self.read("get", "crd")["items"])), 30.0)


def _is_established(crd: dict[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)
