"""The environment of a reader of the docs: a clone of this tree, the local cluster, and installed programs."""

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
"""Namespace of the pages' jobs."""
FIRST: Final = "first"
"""Namespace of the README's first job."""
READER: Final = "rita@example.com"
"""User name of the reader, who may use and review jobs in her namespace."""
BUCKET: Final = "my-bucket"
CRDS: Final = [
    f"{kind}.compression-operator.io"
    for kind in ("compressionjobs", "compressionreviews", "compressionruntimes", "compressionstores")
]
CLUSTER_KINDS: Final = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"


@dataclass
class ReaderEnvironment:
    """The clone, a scratch folder, the cluster and its object store."""

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
        """Remove the files of earlier pages at the top of the clone."""
        for path in self.folder.iterdir():
            if path.is_file() and not (REPOSITORY / path.name).exists():
                path.unlink()

    def environment(self, user: str, namespace: str, server: str = "") -> dict[str, str]:
        """Return the variables of a terminal, with the reader's programs and without this process's credentials."""
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
        """Write the kubeconfig of a user for a namespace; return its path."""
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
    """Copy this tree with uncommitted changes."""
    names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY).split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)


def write_programs(folder: Path, clone: Path) -> None:
    """Write programs that this machine may lack: docker, and from PyPI pipx and the AWS CLI."""
    folder.mkdir(parents=True)
    built = f'BUILT="${{BUILT:-{folder.parent / "built"}}}"'
    programs = {"docker": f'cd {clone} && {built} exec {sys.executable} -m tests.docs.docker "$@"'}
    for name, package in (("pipx", "pipx"), ("aws", "awscli")):
        if not shutil.which(name):
            programs[name] = f'exec {tools.uv()} tool run --from {package} {name} "$@"'
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)


def clear(reader: ReaderEnvironment) -> None:
    """Remove the operator from the cluster, with its CRDs, jobs, roles, policies and namespaces."""
    reader.is_ready = False
    command = [tools.helm(), "uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--ignore-not-found", "--wait"]
    run([*command, "--kubeconfig", components.admin_kubeconfig()])
    kubectl = reader.kubectl
    kubectl.run("delete", "crd", *CRDS, "--ignore-not-found", "--wait")
    kubectl.run("delete", CLUSTER_KINDS, "--selector", f"app.kubernetes.io/name={RELEASE}", "--ignore-not-found")
    kubectl.run(
        "delete", "namespace", SYSTEM_NAMESPACE, TEAM, FIRST, "team-a", "team-b", "--ignore-not-found", "--wait"
    )


def bare(reader: ReaderEnvironment) -> None:
    """Prepare a cluster without the operator, with the Prometheus Operator's CRDs and an empty bucket."""
    clear(reader)
    _apply_monitoring_crds(reader)
    reader.kubectl.run("delete", "secret", "s3", "--namespace=default", "--ignore-not-found")
    ensure_bucket(reader.store, BUCKET)
    for item in reader.store.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        reader.store.delete_object(Bucket=BUCKET, Key=item["Key"])
    shutil.copy(paths.state() / "pki" / "ca.crt", reader.folder / "ca.crt")


def ready(reader: ReaderEnvironment) -> None:
    """Install the operator, upload MiniLM, and give the reader her namespace and rights."""
    if reader.is_ready:
        return
    install_chart()
    seed(reader.store)
    namespaces.prepare(TEAM)
    roles = [("edit", "edit"), ("review", f"{SYSTEM_NAMESPACE}:{RELEASE}:review")]
    reader.kubectl.apply(*(_binding("RoleBinding", name, role) for name, role in roles))
    reader.kubectl.apply(_binding("ClusterRoleBinding", "see-runtimes", f"{SYSTEM_NAMESPACE}:{RELEASE}:view"))
    reader.is_ready = True


def to_be_changed(reader: ReaderEnvironment) -> None:
    """Install the operator for a page that changes its release. It is installed again for the next page."""
    reader.is_ready = False
    ready(reader)
    reader.is_ready = False
    _apply_monitoring_crds(reader)
    reader.kubectl.run("delete", "clusterrolebinding", "metrics-of-compression", "--ignore-not-found")


def _apply_monitoring_crds(reader: ReaderEnvironment) -> None:
    reader.kubectl.run("apply", "--server-side", *(f"--filename={path}" for path in monitoring_crds()))
    reader.kubectl.wait_for_crds()


def _binding(kind: str, name: str, role: str) -> dict[str, Any]:
    api = "rbac.authorization.k8s.io"
    scope = {"namespace": TEAM} if kind == "RoleBinding" else {}
    return {
        "apiVersion": f"{api}/v1",
        "kind": kind,
        "metadata": {"name": f"{READER.partition('@')[0]}-{name}", **scope},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "User", "name": READER}],
    }


def push_images(reader: ReaderEnvironment, registry: str) -> None:
    """Build the real images, and make them available to the nodes."""
    for name in ("operator", "runner"):
        reference = f"{registry}/compression-{name}:0.1.0"
        docker = reader.scratch / "bin" / "docker"
        dockerfile = f"images/{name}.Dockerfile"
        subprocess.run([docker, "build", "-f", dockerfile, "-t", reference, "."], check=True, cwd=reader.folder)
        subprocess.run([docker, "push", reference], check=True, cwd=reader.folder)


def environment_of_store() -> dict[str, str]:
    """Return the environment variables with the store's keys."""
    return {
        "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY,
        "AWS_ENDPOINT_URL": components.s3_endpoint(),
    }
