"""The bridge that connects node, API server, S3 server and pods, and its state in the kernel."""

import json
import re
from pathlib import Path

from localcluster import paths
from localcluster.command import run

BRIDGE = "compression0"
ADDRESS = "10.244.0.1"
SUBNET = "10.244.0.0/24"
# A bridge without its own hardware address uses the lowest one of its ports. Then each new or deleted pod could change
# it, and the other pods would lose the API server and the object store until they resolve it again.
HARDWARE_ADDRESS = "0a:58:0a:f4:00:01"
# Loopback address for servers that pods must not reach.
LOOPBACK = "127.244.0.1"

CNI_NAME = "compression-operator-local"
_COMMENT = CNI_NAME
# Chains of kube-proxy and the kubelet. They do not have our comment: see _own_rules().
_CHAINS = re.compile(r"KUBE-[A-Z0-9-]+")
_SAVED = paths.RUN / "sysctls.json"
# Settings that the cluster needs or that the kubelet changes.
_SYSCTLS = (
    "net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet", "vm/overcommit_memory", "vm/panic_on_oom",
    "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
)  # fmt: skip


def create(folder: Path) -> None:
    """Create the bridge with its address, its forwarding rules, and the CNI configuration in the folder."""
    _save_sysctls()
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    run(
        ["ip", "link", "add", BRIDGE, "address", HARDWARE_ADDRESS, "type", "bridge"],
        remedy="Install the Debian package iproute2.",
    )
    run(["ip", "address", "add", f"{ADDRESS}/24", "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])
    mark = ["-m", "comment", "--comment", _COMMENT]
    run(
        ["iptables", "-w", "-t", "nat", "-A", "POSTROUTING", "-s", SUBNET, "!", "-d", SUBNET, *mark, "-j", "MASQUERADE"]
    )
    # With Docker, the policy of FORWARD is DROP.
    run(["iptables", "-w", "-I", "FORWARD", "-i", BRIDGE, *mark, "-j", "ACCEPT"])
    run(["iptables", "-w", "-I", "FORWARD", "-o", BRIDGE, *mark, "-j", "ACCEPT"])
    _write_cni(folder)


def links() -> list[str]:
    """Return the existing network interfaces of the cluster: the bridge and its ports."""
    bridge = [BRIDGE] if Path("/sys/class/net", BRIDGE).exists() else []
    ports = Path("/sys/class/net", BRIDGE, "brif")
    return bridge + (sorted(port.name for port in ports.iterdir()) if ports.exists() else [])


def rules() -> list[str]:
    """Return the lines of iptables-save that belong to the cluster."""
    return [line for lines in _saved().values() for line in _own_rules(lines)]


def another_kubernetes() -> bool:
    """Return whether another Kubernetes has iptables rules on this machine, which would conflict with the cluster."""
    return not _exists() and any(_CHAINS.search(line) for lines in _saved().values() for line in lines)


def remove() -> None:
    """Remove interfaces, iptables rules and chains, and restore the kernel's settings."""
    for link in reversed(links()):
        run(["ip", "link", "delete", link])
    for table, lines in _saved().items():
        _remove_rules(table, _own_rules(lines))
    if _SAVED.exists():
        for name, value in json.loads(_SAVED.read_text()).items():
            Path("/proc/sys", name).write_text(value)
        _SAVED.unlink()


def _write_cni(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": SUBNET, "gateway": ADDRESS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(folder / "addresses"),
        },
    }
    network = {"cniVersion": "0.4.0", "name": CNI_NAME, "plugins": [bridge]}
    (folder / "10-bridge.conflist").write_text(json.dumps(network, indent=2))


def _save_sysctls() -> None:
    values = {name: Path("/proc/sys", name) for name in _SYSCTLS}
    _SAVED.write_text(json.dumps({name: path.read_text().strip() for name, path in values.items() if path.exists()}))


def _saved() -> dict[str, list[str]]:
    """Return the lines of iptables-save by table. Unused tables are absent."""
    tables: dict[str, list[str]] = {}
    table = ""
    for line in run(["iptables-save"]).splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif table and not line.startswith("#") and line != "COMMIT":
            tables.setdefault(table, []).append(line)
    return tables


def _own_rules(lines: list[str]) -> list[str]:
    # If the bridge does not exist, chains of Kubernetes belong to another cluster.
    exists = _exists()
    return [line for line in lines if _COMMENT in line or (exists and _CHAINS.search(line))]


def _exists() -> bool:
    return _SAVED.exists() or bool(links())


def _remove_rules(table: str, ours: list[str]) -> None:
    if not ours:
        return
    chains = sorted({line.split()[0][1:] for line in ours if line.startswith(":")})
    jumps = [line.replace("-A", "-D", 1) for line in ours if line.startswith("-A") and line.split()[1] not in chains]
    script = [f"*{table}", *jumps, *(f"-F {chain}" for chain in chains), *(f"-X {chain}" for chain in chains), "COMMIT"]
    run(["iptables-restore", "-w", "--noflush"], stdin="\n".join(script) + "\n")
