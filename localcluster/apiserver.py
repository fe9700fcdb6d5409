"""etcd and an API server without nodes, for integration tests and benchmarks. They start within seconds.

with apiserver.start(controllers=("job", "garbage-collector")) as server:
    client = load(server.kubeconfig)                      # as cluster administrator
    limited = server.service_account("default", "robot")  # a kubeconfig with only that account's rights
"""

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster import certificates, gobuild, kubeconfig, ports
from localcluster.controlplane import ControlPlane
from localcluster.kubectl import Kubectl
from localcluster.servers import Servers, servers

_HOST = "127.0.0.1"
# Short names of controllers.
_SHORT_NAMES = {
    "job": "job-controller",
    "garbage-collector": "garbage-collector-controller",
    "ttl": "ttl-after-finished-controller",
    "namespace": "namespace-controller",
}
# A pod object needs a service account in its namespace, even if no node runs the pod.
_ALWAYS = ("serviceaccount-controller", "root-ca-certificate-publisher-controller")


@dataclass(frozen=True)
class APIServer:
    """A running API server and the means to talk to it."""

    url: str
    kubeconfig: Path
    folder: Path
    plane: ControlPlane
    processes: dict[str, int]
    _servers: Servers

    @property
    def kubectl(self) -> Kubectl:
        """kubectl with the rights of the cluster administrator."""
        return Kubectl(self.kubeconfig)

    def user(self, name: str, groups: Sequence[str] = ()) -> Path:
        """Return a kubeconfig for a user (client certificate). RBAC decides on the rights of the name and groups."""
        client = certificates.make_client(self.plane.authority, self.folder / "users", name, groups)
        path = self.folder / "users" / f"{client.key.stem}.kubeconfig"
        return kubeconfig.write(path, server=self.url, authority=self.plane.authority.certificate, client=client)

    def service_account(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig for an existing service account, with a token for one day."""
        token = self.kubectl.run("create", "token", name, f"--namespace={namespace}", "--duration=24h").strip()
        path = self.folder / "users" / f"{namespace}-{name}.kubeconfig"
        authority = self.plane.authority.certificate
        return kubeconfig.write(path, server=self.url, authority=authority, token=token, namespace=namespace)

    def grant(self, user: str, rules: Sequence[dict[str, Any]], namespace: str = "") -> None:
        """Give a user these RBAC rules, in one namespace or in the whole cluster."""
        scope, metadata = ("", {"name": user, "namespace": namespace}) if namespace else ("Cluster", {"name": user})
        group = "rbac.authorization.k8s.io"
        role = {"apiVersion": f"{group}/v1", "kind": f"{scope}Role", "metadata": metadata, "rules": list(rules)}
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": f"{scope}RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": f"{scope}Role", "name": user},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }
        self.kubectl.apply(role, binding)

    def restart(self) -> None:
        """Kill the API server and start it again on the same etcd and port."""
        self._servers.stop("kube-apiserver")
        self.processes["kube-apiserver"] = self._servers.start("kube-apiserver", _apiserver(self.plane))
        self._servers.wait("kube-apiserver", lambda: is_ready(self.url, self.plane.authority.certificate))


@contextmanager
def start(*, controllers: Sequence[str] = (), service_accounts: bool = False) -> Iterator[APIServer]:
    """Start etcd and kube-apiserver on free loopback ports, and kube-controller-manager if there are `controllers`.

    `controllers` are names of kube-controller-manager, or the short names job, garbage-collector, ttl, namespace. With
    `service_accounts` each controller uses its own account, as in most clusters; otherwise all are the administrator.
    The servers end with the block, or with the process. Raises LocalClusterError with the end of the log if a server
    does not start.
    """
    binary = gobuild.ensure(gobuild.KUBERNETES)
    with servers("apiserver") as group:
        plane = _plane(binary, group.folder)
        admin = certificates.make_client(plane.authority, group.folder / "pki", "admin", ["system:masters"])
        config = kubeconfig.write(
            group.folder / "kubeconfig", server=plane.url, authority=plane.authority.certificate, client=admin
        )
        processes = {"etcd": group.start("etcd", plane.etcd())}
        processes["kube-apiserver"] = group.start("kube-apiserver", _apiserver(plane))
        group.wait("kube-apiserver", lambda: is_ready(plane.url, plane.authority.certificate))
        if controllers:
            names = [*_ALWAYS, *(_SHORT_NAMES.get(name, name) for name in controllers)]
            extra = ["--use-service-account-credentials=true"] if service_accounts else []
            argv = plane.controller_manager(config, names, extra)
            processes["kube-controller-manager"] = group.start("kube-controller-manager", argv)
        yield APIServer(plane.url, config, group.folder, plane, processes, group)


def is_ready(url: str, authority: Path) -> bool:
    """Return whether an API server reports that it is ready. The request needs no credentials."""
    context = ssl.create_default_context(cafile=str(authority))
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5, context=context) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _plane(binary: Path, folder: Path) -> ControlPlane:
    authority = certificates.make_authority(folder / "pki")
    return ControlPlane(
        binary=binary,
        folder=folder,
        host=_HOST,
        port=ports.free(),
        etcd_host=_HOST,
        etcd_port=ports.free(),
        etcd_peer_port=ports.free(),
        authority=authority,
        serving=certificates.make_server(authority, folder / "pki", "kube-apiserver", [_HOST, "localhost"]),
        service_account_key=certificates.make_key(folder / "pki" / "service-account.key"),
    )


def _apiserver(plane: ControlPlane) -> list[str]:
    # A loopback address cannot be an endpoint of the `kubernetes` service, and no pod will ever use it.
    return plane.apiserver(["--endpoint-reconciler-type=none"])
