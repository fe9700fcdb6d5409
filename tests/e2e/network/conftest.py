"""Pods that listen and connect, addresses outside of the cluster, and an engine that enforces NetworkPolicies."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from compressionjob.group import AMBIENT_IDENTITY_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from localcluster import gobuild, network, node, podimages
from localcluster.command import run
from localcluster.components import admin_kubeconfig
from localcluster.kubectl import Kubectl
from localcluster.servers import servers
from tests.e2e.conftest import localcluster
from tests.e2e.harness import Namespace, wait_for
from tests.support.network_policies import Endpoint

QUEUE: Final = 137
"""Number of the NFQUEUE through which new connections of pods go while the tests run."""
METADATA: Final = "192.0.2.254"
"""Stands in for a cloud's metadata address, which a machine in a cloud needs itself (RFC 5737: nobody has this one)."""
PORTS: Final = (8080, 9000)
OUTSIDE_PORT: Final = 9000
SYSTEM, TEAM, STORES, MONITORING = "net-system", "net-team", "net-stores", "net-monitoring"
OPERATOR: Final = {"app.kubernetes.io/name": "compression-operator", "app.kubernetes.io/component": "operator"}
PODS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "operator": (SYSTEM, OPERATOR),
    "prometheus": (MONITORING, {"app": "prometheus"}),
    "store": (STORES, {"app": "store"}),
    "neighbour": (TEAM, {"app": "notebook"}),
    "runner": (TEAM, {MANAGED_BY_LABEL: MANAGED_BY}),
    "with-identity": (TEAM, {MANAGED_BY_LABEL: MANAGED_BY, AMBIENT_IDENTITY_LABEL: "true"}),
}
"""Pods by name: namespace and labels."""

_LISTEN: Final = f"""
import socketserver, threading
class Accept(socketserver.BaseRequestHandler):
    def handle(self):
        pass
servers = [socketserver.ThreadingTCPServer(("", port), Accept) for port in {PORTS!r}]
threads = [threading.Thread(target=server.serve_forever) for server in servers]
[thread.start() for thread in threads]
print("listening", flush=True)
"""
_CONNECT: Final = """
import concurrent.futures, json, socket, sys
def reaches(target):
    try:
        socket.create_connection(tuple(target), timeout=3).close()
        return True
    except OSError:
        return False
targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(list(pool.map(reaches, targets))))
"""

Connection = tuple[str, str, int]
"""Source, target and port; a target that is no pod is an address."""


@dataclass(frozen=True)
class Site:
    """The pods and what they reach."""

    kubectl: Kubectl
    endpoints: dict[str, Endpoint]

    def reached(self) -> set[Connection]:
        """All connections that are made now, tried between all pods, and from them to the addresses outside."""
        targets = [(name, port) for name in PODS for port in PORTS]
        targets += [(address, OUTSIDE_PORT) for address in (network.ADDRESS, METADATA)]
        wanted = json.dumps([(self.endpoints[name].ip, port) for name, port in targets])
        found: set[Connection] = set()
        for source, (namespace, _) in PODS.items():
            others = Namespace(self.kubectl, namespace)
            results = json.loads(others("exec", source, "--", "python3", "-c", _CONNECT, wanted))
            found |= {(source, *target) for target, reaches in zip(targets, results, strict=True) if reaches}
        return found


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if not gobuild.is_built(gobuild.NETWORK_POLICIES):
        pytest.skip("the engine is not built: `make test-network` builds it once, in minutes")
    localcluster("up")
    kubectl = Kubectl(admin_kubeconfig())
    namespaces = sorted({namespace for namespace, _ in PODS.values()})
    kubectl.run("delete", "namespace", *namespaces, "--ignore-not-found", "--wait")
    with ExitStack() as stack:
        for address in (network.ADDRESS, METADATA):
            stack.enter_context(outside(address))
        stack.enter_context(enforced())
        for name in namespaces:
            kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for name, (namespace, labels) in PODS.items():
            place = Namespace(kubectl, namespace)
            wait_for("its service account", lambda place=place: place.items("serviceaccounts"))
            place.apply(pod(name, labels))
        addresses = {name: address_of(Namespace(kubectl, namespace), name) for name, (namespace, _) in PODS.items()}
        endpoints = {name: Endpoint(addresses[name], *PODS[name]) for name in PODS}
        yield Site(kubectl, endpoints | {address: Endpoint(address) for address in (network.ADDRESS, METADATA)})
        kubectl.run("delete", "namespace", *namespaces, "--wait=false")


def pod(name: str, labels: dict[str, str]) -> dict[str, Any]:
    container = {
        "name": "a",
        "image": podimages.BASE,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", _LISTEN],
        "readinessProbe": {"tcpSocket": {"port": PORTS[0]}, "periodSeconds": 1},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def address_of(namespace: Namespace, name: str) -> str:
    namespace("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=120s")
    (found,) = [item for item in namespace.items("pods") if item["metadata"]["name"] == name]
    return str(found["status"]["podIP"])


@contextmanager
def outside(address: str) -> Iterator[None]:
    """An address of this machine that accepts connections, as a server outside of the cluster does."""
    added = address != network.ADDRESS
    if added:
        run(["ip", "address", "add", f"{address}/32", "dev", network.BRIDGE])
    try:
        with socketserver.ThreadingTCPServer((address, OUTSIDE_PORT), socketserver.BaseRequestHandler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield
            server.shutdown()
    finally:
        if added:
            run(["ip", "address", "del", f"{address}/32", "dev", network.BRIDGE])


@contextmanager
def enforced() -> Iterator[None]:
    """Let the engine decide about every new connection that comes from a pod; without it they pass."""
    binary = gobuild.ensure(gobuild.NETWORK_POLICIES)
    # The comment lets `python -m localcluster down` remove what a killed test leaves behind.
    rule = ["-i", network.BRIDGE, "-m", "conntrack", "--ctstate", "NEW", "-m", "comment", "--comment", network.CNI_NAME]
    rule += ["-j", "NFQUEUE", "--queue-num", str(QUEUE), "--queue-bypass"]
    with servers("network-policies") as group, ExitStack() as stack:
        command = [binary, f"--kubeconfig={admin_kubeconfig()}", f"--node={node.NAME}", f"--queue={QUEUE}"]
        group.start("engine", command)
        for chain in ("FORWARD", "INPUT"):
            run(["iptables", "-w", "-t", "mangle", "-A", chain, *rule])
            stack.callback(run, ["iptables", "-w", "-t", "mangle", "-D", chain, *rule])
        yield
