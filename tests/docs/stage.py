"""Where the pages are played: a clone of this tree, the local cluster, and what a reader has installed."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from demo.installation import RELEASE, SYSTEM_NAMESPACE, ensure_bucket, install_chart, seed
from localcluster import certificates, components, kubeconfig, namespaces, paths, s3, tools
from localcluster.command import run
from localcluster.kubectl import Kubectl
from localcluster.paths import REPOSITORY
from tests.support.monitoring_crds import monitoring_crds

TEAM: Final = "ml"
"""The namespace of the pages' jobs."""
FIRST: Final = "first"
"""The namespace of the README's first job."""
READER: Final = "rita@example.com"
"""Who reads the pages for users: she may work with jobs in her namespace, and review them."""
BUCKET: Final = "my-bucket"
CRDS: Final = [
    f"{kind}.compression-operator.io"
    for kind in ("compressionjobs", "compressionreviews", "compressionruntimes", "compressionstores")
]
CLUSTER_KINDS: Final = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"


@dataclass
class Stage:
    """The clone, a folder of files beside it, the cluster and its object store."""

    folder: Path
    scratch: Path
    store: Any
    hub: str
    """URL of a Hugging Face Hub that has MiniLM."""
    is_ready: bool = False
    """Whether the operator is installed, and the reader has her namespace."""

    @property
    def kubectl(self) -> Kubectl:
        """Return the administrator's kubectl."""
        return Kubectl(components.admin_kubeconfig())

    def tidy(self) -> None:
        """Remove the files that earlier pages have left at the top of the clone."""
        for place in self.folder.iterdir():
            if place.is_file() and not (REPOSITORY / place.name).exists():
                place.unlink()

    def environment(self, user: str, namespace: str, server: str = "") -> dict[str, str]:
        """Return the variables of a terminal, without this process's credentials, with the reader's programs."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KUBE", "HF_"))}
        path = [self.scratch / "bin", paths.binaries(), os.environ["PATH"]]
        config = {"KUBECONFIG": str(self.kubeconfig(user, namespace, server))} if user else {}
        return (
            kept
            | config
            | {
                "PATH": os.pathsep.join(map(str, path)),
                "TERM": "xterm",
                "NO_COLOR": "1",
                "HF_ENDPOINT": self.hub,
                "PIPX_HOME": str(self.scratch / "pipx"),
                "PIPX_BIN_DIR": str(self.scratch / "bin"),
            }
        )

    def kubeconfig(self, user: str, namespace: str, server: str = "") -> Path:
        """Write the kubeconfig of a user whose context has a namespace."""
        pki = paths.state() / "pki"
        authority = certificates.make_authority(pki)
        groups = ["system:masters"] if user == "admin" else []
        return kubeconfig.write(
            self.scratch / f"{user}-{namespace}.kubeconfig",
            server=server or f"https://{components.network.ADDRESS}:{components.API_PORT}",
            authority=authority.certificate,
            client=certificates.make_client(authority, self.scratch / "pki", user, groups),
            namespace=namespace,
        )


def clone(folder: Path) -> None:
    """Copy this tree, with changes that are not committed, and make it a repository."""
    names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY).split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)


def write_programs(folder: Path, clone: Path) -> None:
    """Write what a reader has and this machine may lack: docker, and out of Python's registry pipx and the AWS CLI."""
    folder.mkdir(parents=True)
    built = f'BUILT="${{BUILT:-{folder.parent / "built"}}}"'
    programs = {"docker": f'cd {clone} && {built} exec {sys.executable} -m tests.docs.docker "$@"'}
    for name, package in (("pipx", "pipx"), ("aws", "awscli")):
        if not shutil.which(name):
            programs[name] = f'exec {tools.uv()} tool run --from {package} {name} "$@"'
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)


def clear(stage: Stage) -> None:
    """Take the operator out of the cluster, with all that is its: CRDs, jobs, roles, policies, namespaces."""
    stage.is_ready = False
    command = [tools.helm(), "uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--ignore-not-found", "--wait"]
    run([*command, "--kubeconfig", components.admin_kubeconfig()])
    kubectl = stage.kubectl
    kubectl.run("delete", "crd", *CRDS, "--ignore-not-found", "--wait")
    kubectl.run("delete", CLUSTER_KINDS, "--selector", f"app.kubernetes.io/name={RELEASE}", "--ignore-not-found")
    kubectl.run(
        "delete", "namespace", SYSTEM_NAMESPACE, TEAM, FIRST, "team-a", "team-b", "--ignore-not-found", "--wait"
    )


def bare(stage: Stage) -> None:
    """Have a cluster without the operator, with the Prometheus Operator's CRDs and an empty bucket."""
    clear(stage)
    _apply_monitoring_crds(stage)
    stage.kubectl.run("delete", "secret", "s3", "--namespace=default", "--ignore-not-found")
    ensure_bucket(stage.store, BUCKET)
    for item in stage.store.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        stage.store.delete_object(Bucket=BUCKET, Key=item["Key"])
    shutil.copy(paths.state() / "pki" / "ca.crt", stage.folder / "ca.crt")


def ready(stage: Stage) -> None:
    """Have the operator installed, MiniLM in the store, and the reader in her namespace."""
    if stage.is_ready:
        return
    install_chart()
    seed(stage.store)
    namespaces.prepare(TEAM)
    roles = [("edit", "edit"), ("review", f"{SYSTEM_NAMESPACE}:{RELEASE}:review")]
    stage.kubectl.apply(*(_binding("RoleBinding", name, role) for name, role in roles))
    stage.kubectl.apply(_binding("ClusterRoleBinding", "see-runtimes", f"{SYSTEM_NAMESPACE}:{RELEASE}:view"))
    stage.is_ready = True


def to_be_changed(stage: Stage) -> None:
    """Have the operator installed, for a page that changes its release; the next page gets it anew."""
    stage.is_ready = False
    ready(stage)
    stage.is_ready = False
    _apply_monitoring_crds(stage)
    stage.kubectl.run("delete", "clusterrolebinding", "metrics-of-compression", "--ignore-not-found")


def _apply_monitoring_crds(stage: Stage) -> None:
    stage.kubectl.run("apply", "--server-side", *(f"--filename={path}" for path in monitoring_crds()))
    stage.kubectl.wait_for_crds()


def _binding(kind: str, name: str, role: str) -> dict[str, Any]:
    api = "rbac.authorization.k8s.io"
    place = {"namespace": TEAM} if kind == "RoleBinding" else {}
    return {
        "apiVersion": f"{api}/v1",
        "kind": kind,
        "metadata": {"name": f"{READER.partition('@')[0]}-{name}", **place},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "User", "name": READER}],
    }


def push_images(stage: Stage, registry: str) -> None:
    """Build the real images, and put them where the nodes can pull them."""
    for name in ("operator", "runner"):
        reference = f"{registry}/compression-{name}:0.1.0"
        docker = stage.scratch / "bin" / "docker"
        recipe = f"images/{name}.Dockerfile"
        subprocess.run([docker, "build", "-f", recipe, "-t", reference, "."], check=True, cwd=stage.folder)
        subprocess.run([docker, "push", reference], check=True, cwd=stage.folder)


def environment_of_store() -> dict[str, str]:
    """Return the keys of the store, as a user has them."""
    return {
        "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY,
        "AWS_ENDPOINT_URL": components.s3_endpoint(),
    }
