"""A cluster that is already there: the one of KUBECONFIG, or one of kind where Docker runs."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from localcluster import paths
from localcluster.command import run
from localcluster.components import admin_kubeconfig

KIND_CLUSTER: Final = "compression-operator"


def kubeconfig() -> Path | None:
    """Return the kubeconfig of a cluster that is there, or None: then the local one is needed."""
    named = os.environ.get("KUBECONFIG", "")
    if named and Path(named) != admin_kubeconfig():
        return Path(named)
    return _kind() if shutil.which("kind") and _docker_runs() else None


def adopt(given: Path) -> None:
    """Put the kubeconfig where everything else looks for it."""
    place = admin_kubeconfig()
    place.parent.mkdir(parents=True, exist_ok=True)
    if place != given:
        place.write_bytes(given.read_bytes())
        place.chmod(0o600)


def _kind() -> Path:
    if KIND_CLUSTER not in run(["kind", "get", "clusters"]).split():
        run(["kind", "create", "cluster", "--name", KIND_CLUSTER, "--wait", "2m"])
    place = paths.cache() / "kind.kubeconfig"
    place.write_text(run(["kind", "get", "kubeconfig", "--name", KIND_CLUSTER]))
    return place


def _docker_runs() -> bool:
    docker = shutil.which("docker")
    return bool(docker) and subprocess.run([str(docker), "info"], capture_output=True, check=False).returncode == 0
