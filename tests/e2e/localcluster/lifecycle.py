"""The life cycle of a cluster on an isolated machine (isolated.sh), which must be unchanged afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from localcluster import components, namespaces, network, processes, site
from localcluster.kubectl import Kubectl
from localcluster.podimages import BASE

_WATCHED_FOLDERS = ("/run", "/var/lib", "/var/log", "/etc/cni", "/opt")
_CHECK = "import torch, onnxruntime, socket; socket.create_connection(ADDRESS, timeout=10); print('reached')"


def snapshot() -> dict[str, list[str]]:
    """Return the possible remains of a cluster by kind, without objects that change by themselves."""
    own = {os.getpid(), 1}
    running = [path for path in Path("/proc").glob("[0-9]*/cmdline") if int(path.parent.name) not in own]
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {
        "processes": [text for path in running if (text := path.read_text().replace("\0", " ")).strip()],
        "mounts": sorted(mounts),
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        # The kernel keeps the built-in chains of used tables.
        "iptables": [line for line in rules if line.startswith("-A") or (line.startswith(":") and " - " in line)],
        "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/*/")),
        "files": sorted(str(path) for folder in _WATCHED_FOLDERS for path in Path(folder).glob("*")),
        "settings": [
            Path("/proc/sys", name).read_text() for name in network._SYSCTLS if Path("/proc/sys", name).exists()
        ],
    }


def localcluster(*arguments: str) -> None:
    """Run one command of the local cluster. Raises CalledProcessError if it fails."""
    subprocess.run([sys.executable, "-m", "localcluster", *arguments], check=True, timeout=300)


def assert_clean(before: dict[str, list[str]], after_what: str) -> None:
    """Assert that the machine is unchanged, and that `remains` agrees."""
    localcluster("remains")
    now = snapshot()
    for kind, expected in before.items():
        assert now[kind] == expected, f"{kind} after {after_what}: {sorted(set(now[kind]) ^ set(expected))}"


def run_pod(name: str) -> None:
    """Run a pod as restricted as a job's. It imports the libraries of jobs and connects to the object store."""
    namespace = f"life-{name}"
    localcluster("namespace", namespace)
    localcluster("namespace", namespace)
    kubectl = Kubectl(components.admin_kubeconfig())
    kubectl.apply(_pod(name, namespace))
    bridge = Path("/sys/class/net", network.BRIDGE)
    assigned = (bridge / "address").read_text().strip(), (bridge / "addr_assign_type").read_text().strip()
    assert assigned == (network.HARDWARE_ADDRESS, "3"), "set, so that no pod that comes or goes changes it"
    phase = ""
    deadline = time.monotonic() + 120
    while phase not in ("Succeeded", "Failed") and time.monotonic() < deadline:
        time.sleep(0.5)
        phase = kubectl.read("get", "pod", name, f"--namespace={namespace}")["status"].get("phase", "")
    printed = kubectl.run("logs", name, f"--namespace={namespace}") if phase in ("Succeeded", "Failed") else ""
    description = kubectl.run("describe", "pod", name, f"--namespace={namespace}")
    assert phase == "Succeeded", f"{phase}\n{printed}\n{description}"
    assert "reached" in printed.split(), printed


def _pod(name: str, namespace: str) -> dict[str, Any]:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    script = _CHECK.replace("ADDRESS", repr((network.ADDRESS, components.S3_PORT)))
    container = {
        "name": "check",
        "image": BASE,
        "imagePullPolicy": "Never",
        "command": [f"{site.MOUNT}/venv/bin/python", "-c", script],
        "securityContext": security,
        "volumeMounts": [
            {"name": "site", "mountPath": site.MOUNT, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "dnsPolicy": "Default",
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [
                {"name": "site", "persistentVolumeClaim": {"claimName": namespaces.CLAIM, "readOnly": True}},
                {"name": "tmp", "emptyDir": {}},
            ],
        },
    }


def kill(*names: str) -> None:
    """Kill the process with SIGKILL, as at the end of a session."""
    for name in names:
        identity = processes.recorded(name)
        assert identity, f"{name} does not run"
        identity.signal(signal.SIGKILL)


def main() -> None:
    """Start and stop the cluster in each possible way."""
    before = snapshot()

    localcluster("up")
    run_pod("first")
    localcluster("up")  # changes nothing
    run_pod("second")
    localcluster("down")
    assert_clean(before, "down")
    localcluster("down")  # nothing to do

    localcluster("up")
    kill("kubelet", "containerd", "kube-apiserver")
    localcluster("up")
    run_pod("third")
    kill(*components.NAMES)  # its containers, mounts and interfaces still exist
    localcluster("up")
    run_pod("fourth")
    kill(*components.NAMES)
    localcluster("down")
    assert_clean(before, "kill -9 of all components and down")

    for seconds in (1.5, 4.0, 8.0):
        half = subprocess.Popen([sys.executable, "-m", "localcluster", "up"])
        time.sleep(seconds)
        half.kill()
        half.wait()
        localcluster("down")
        assert_clean(before, f"an up that was killed after {seconds} s")
    sys.stdout.write(json.dumps({kind: len(expected) for kind, expected in before.items()}) + "\n")


if __name__ == "__main__":
    main()
