"""The processes of the whole cluster, in the order in which they start."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from localcluster import apiserver, cgroups, containers, cpus, gobuild, kubeconfig, network, node, paths, processes, s3
from localcluster.certificates import Certificate, make_authority, make_client, make_key, make_server
from localcluster.controlplane import SERVICE_ADDRESS, ControlPlane
from localcluster.kubectl import Kubectl
from localcluster.waiting import until

API_PORT: Final = 6443
S3_PORT: Final = 7070
_ETCD_PORT, _ETCD_PEER_PORT = 2379, 2380
_NAMES: Final = (network.ADDRESS, SERVICE_ADDRESS, "localhost", "kubernetes", "kubernetes.default.svc")


@dataclass(frozen=True)
class Component:
    """One process: its command line and its readiness check (None: `up` does not wait for it)."""

    name: str
    argv: list[str]
    ready: Callable[[], bool] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def admin_kubeconfig() -> Path:
    """Return the administrator's kubeconfig."""
    return paths.state() / "kubeconfig"


def s3_endpoint() -> str:
    """Return the URL of the object store, for pods and for this machine."""
    return f"http://{network.ADDRESS}:{S3_PORT}"


def create_network() -> None:
    """Create the folder for process records, the bridge and its rules."""
    paths.RUN.mkdir(parents=True, exist_ok=True)
    network.create(paths.state() / "cni")


def start_containerd() -> None:
    """Start containerd and wait until it is ready."""
    argv = containers.configure(paths.state() / "containerd", paths.state() / "cni")
    _start(Component("containerd", argv, containers.answers))


def start_object_store() -> None:
    """Start versitygw and wait until it is ready."""
    buckets = paths.state() / "buckets"
    buckets.mkdir(parents=True, exist_ok=True)
    argv = cpus.on_system_cpu(s3.command(gobuild.ensure(gobuild.VERSITYGW), buckets, network.ADDRESS, S3_PORT))
    _start(Component("versitygw", argv, object_store_answers, s3.environment()))


def start_kubernetes() -> None:
    """Start the control plane, kubelet and kube-proxy, and wait until the API server is ready.

    None of them is a parent process of a container, so containers do not inherit their CPU.
    """
    for component in _kubernetes():
        _start(replace(component, argv=cpus.on_system_cpu(component.argv)))


def _start(component: Component) -> None:
    log = paths.logs() / f"{component.name}.log"
    processes.start(component.name, component.argv, log, cgroups=cgroups.create(), env=component.environment)
    if component.ready:
        until(f"{component.name} is ready", component.ready, 90, remedy=f"Its log is {log}.")


def object_store_answers() -> bool:
    """Return whether the object store accepts connections."""
    return s3.answers(network.ADDRESS, S3_PORT)


def running() -> bool:
    """Return whether all processes run, and Kubernetes is built from this clone's sources."""
    identities = {name: processes.recorded(name) for name in NAMES}
    server = identities["kube-apiserver"]
    return (
        all(identities.values())
        and server is not None
        and gobuild.is_built(gobuild.KUBERNETES)
        and server.executable() == gobuild.ensure(gobuild.KUBERNETES).resolve()
    )


NAMES: Final = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet", "kube-proxy",
    "versitygw",
)  # fmt: skip


def _kubernetes() -> list[Component]:
    pki = paths.state() / "pki"
    plane = _plane(pki)
    authority = plane.authority

    def config(user: str, *groups: str) -> Path:
        client = make_client(authority, pki, user, groups)
        name = user.rpartition(":")[2] if user != "admin" else "admin"
        path = admin_kubeconfig() if user == "admin" else paths.state() / "kubeconfigs" / name
        return kubeconfig.write(path, server=plane.url, authority=authority.certificate, client=client)

    config("admin", "system:masters")
    kubelet_client = make_client(authority, pki, "kube-apiserver-kubelet-client", ["system:masters"])
    binary = str(plane.binary)
    # A claim whose binding has a conflict waits for the next sync, which is fifteen seconds by default.
    manager = plane.controller_manager(
        config("system:kube-controller-manager"),
        ["*"],
        ["--use-service-account-credentials=true", "--pvclaimbinder-sync-period=1s"],
    )
    scheduler = [
        binary, "kube-scheduler", f"--kubeconfig={config('system:kube-scheduler')}", "--leader-elect=false",
        "--secure-port=0",
    ]  # fmt: skip
    kubelet_config = config(f"system:node:{node.NAME}", "system:nodes")
    pod_logs = paths.logs() / "pods"
    kubelet = node.kubelet(plane.binary, paths.state() / "kubelet", kubelet_config, authority.certificate, pod_logs)
    proxy = node.kube_proxy(plane.binary, paths.state() / "kube-proxy", config("system:kube-proxy"))
    return [
        Component("etcd", plane.etcd()),
        Component(
            "kube-apiserver",
            plane.apiserver(_kubelet_arguments(kubelet_client)),
            lambda: apiserver.is_ready(plane.url, authority.certificate),
        ),
        Component("kube-controller-manager", manager),
        Component("kube-scheduler", scheduler),
        Component("kubelet", kubelet),
        Component("kube-proxy", proxy),
    ]


def _kubelet_arguments(client: Certificate) -> list[str]:
    return [
        f"--kubelet-client-certificate={client.certificate}", f"--kubelet-client-key={client.key}",
        "--kubelet-preferred-address-types=InternalIP",
    ]  # fmt: skip


def _plane(pki: Path) -> ControlPlane:
    authority = make_authority(pki)
    return ControlPlane(
        binary=gobuild.ensure(gobuild.KUBERNETES),
        folder=paths.state(),
        host=network.ADDRESS,
        port=API_PORT,
        # Pods must not reach etcd. With its own address its ports are free on every machine.
        etcd_host=network.LOOPBACK,
        etcd_port=_ETCD_PORT,
        etcd_peer_port=_ETCD_PEER_PORT,
        authority=authority,
        serving=make_server(authority, pki, "kube-apiserver", _NAMES),
        service_account_key=make_key(pki / "service-account.key"),
    )


def node_is_ready() -> bool:
    """Return whether the kubelet has reported that the node is ready."""
    nodes = Kubectl(admin_kubeconfig()).read("get", "nodes")["items"]
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for item in nodes
        for condition in item["status"].get("conditions", [])
    )
