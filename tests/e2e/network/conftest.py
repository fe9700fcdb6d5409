"""Pods, external addresses, and an engine that enforces NetworkPolicies between them.

A pod is a network namespace of this machine, and an object on a separate API server. It needs no kubelet, and does not
affect the local cluster.
"""

import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import pytest

from compressionjob.group import AMBIENT_IDENTITY_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from localcluster import apiserver, gobuild
from localcluster.apiserver import APIServer
from localcluster.command import run
from localcluster.kubectl import Kubectl
from localcluster.servers import Servers, servers
from tests.e2e.harness import Namespace, wait_for
from tests.support.network_policies import Endpoint

QUEUE: Final = 137
"""Number of the NFQUEUE for new connections of pods during the tests."""
BRIDGE: Final = "netpolicies0"
GATEWAY: Final = "10.246.0.1"
"""The machine's address on the bridge, which for the policies is outside the cluster."""
METADATA: Final = "192.0.2.254"
"""Replaces a cloud's metadata address, which a cloud machine itself needs. RFC 5737: the address is unused."""
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
"""Source, target and port. A target is a pod or an address."""


@dataclass(frozen=True)
class Site:
    """The pods, and their possible connections."""

    kubectl: Kubectl
    endpoints: dict[str, Endpoint]

    def reached(self) -> set[Connection]:
        """Return all possible connections between pods, and from pods to external addresses."""
        targets = [(name, port) for name in PODS for port in PORTS]
        targets += [(address, OUTSIDE_PORT) for address in (GATEWAY, METADATA)]
        wanted = json.dumps([(self.endpoints[name].ip, port) for name, port in targets])
        connections: set[Connection] = set()
        for source in PODS:
            results = json.loads(run([*within(source), sys.executable, "-c", _CONNECT, wanted]))
            connections |= {(source, *target) for target, reaches in zip(targets, results, strict=True) if reaches}
        return connections


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if not gobuild.is_built(gobuild.NETWORK_POLICIES):
        pytest.skip("the engine is not built: `make test-network` builds it once, in minutes")
    with (
        apiserver.start(controllers=("namespace",)) as server,
        servers("network") as group,
        ExitStack() as stack,
    ):
        stack.enter_context(bridged())
        for address in (GATEWAY, METADATA):
            stack.enter_context(listening(address))
        addresses = {name: f"10.246.0.{number}" for number, name in enumerate(PODS, start=10)}
        for name, address in addresses.items():
            stack.enter_context(attached(name, address))
            group.start(name, [*within(name), sys.executable, "-c", _LISTEN])
        create_pods(server, addresses)
        stack.enter_context(enforced(server, group))
        endpoints = {name: Endpoint(addresses[name], *PODS[name]) for name in PODS}
        yield Site(server.kubectl, endpoints | {address: Endpoint(address) for address in (GATEWAY, METADATA)})


def within(name: str) -> list[str]:
    """Return the prefix of a command that runs in a pod."""
    return ["ip", "netns", "exec", f"netpolicies-{name}"]


def create_pods(server: APIServer, addresses: dict[str, str]) -> None:
    """Set the status of the pods as the scheduler and the kubelet do."""
    for name, (namespace, labels) in PODS.items():
        server.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        place = Namespace(server.kubectl, namespace)
        wait_for("its service account", partial(place.items, "serviceaccounts"))
        container = {"name": "a", "image": "a"}
        spec = {"nodeName": "here", "containers": [container], "automountServiceAccountToken": False}
        place.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec})
        ip = addresses[name]
        status = {"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}}
        place("patch", "pod", name, "--subresource=status", "--type=merge", f"--patch={json.dumps(status)}")


@contextmanager
def bridged() -> Iterator[None]:
    """Create a separate bridge whose packets pass iptables, as with any network plugin."""
    accept = ["FORWARD", "-i", BRIDGE, "-j", "ACCEPT"]
    run(["ip", "link", "add", BRIDGE, "type", "bridge"])
    try:
        run(["ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE])
        run(["ip", "address", "add", f"{METADATA}/32", "dev", BRIDGE])
        run(["ip", "link", "set", BRIDGE, "up"])
        run(["iptables", "-w", "-I", *accept])
        try:
            yield
        finally:
            run(["iptables", "-w", "-D", *accept])
    finally:
        run(["ip", "link", "delete", BRIDGE])


@contextmanager
def attached(name: str, address: str) -> Iterator[None]:
    """Create the network of a pod."""
    namespace, link = f"netpolicies-{name}", f"npol{address.rpartition('.')[2]}"
    run(["ip", "netns", "add", namespace])
    try:
        run(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace])
        run(["ip", "link", "set", link, "master", BRIDGE, "up"])
        for words in (f"address add {address}/24 dev eth0", "link set eth0 up", "link set lo up"):
            run(["ip", "-n", namespace, *words.split()])
        run(["ip", "-n", namespace, "route", "add", "default", "via", GATEWAY])
        yield
    finally:
        run(["ip", "netns", "delete", namespace])


@contextmanager
def listening(address: str) -> Iterator[None]:
    """Accept connections, like a server outside the cluster."""
    with socketserver.ThreadingTCPServer((address, OUTSIDE_PORT), socketserver.BaseRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@contextmanager
def enforced(server: APIServer, group: Servers) -> Iterator[None]:
    """Send every new connection from a pod to the engine. Without the engine they pass."""
    rule = ["-i", BRIDGE, "-m", "conntrack", "--ctstate", "NEW"]
    rule += ["-j", "NFQUEUE", "--queue-num", str(QUEUE), "--queue-bypass"]
    binary = gobuild.ensure(gobuild.NETWORK_POLICIES)
    group.start("engine", [binary, f"--kubeconfig={server.kubeconfig}", "--node=here", f"--queue={QUEUE}"])
    with ExitStack() as stack:
        for chain in ("FORWARD", "INPUT"):
            run(["iptables", "-w", "-t", "mangle", "-A", chain, *rule])
            stack.callback(run, ["iptables", "-w", "-t", "mangle", "-D", chain, *rule])
        yield
