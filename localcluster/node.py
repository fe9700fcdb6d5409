"""The kubelet and kube-proxy of the single node."""

import json
from pathlib import Path
from typing import Any

from localcluster import cgroups, containers, cpus, network

NAME = "local"


def kubelet(binary: Path, folder: Path, kubeconfig: Path, client_authority: Path, pod_logs: Path) -> list[str]:
    """Write the kubelet's configuration into the folder, which is also its root folder; return its command line."""
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(client_authority)},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroups.KUBELET_ROOT,
        "containerRuntimeEndpoint": f"unix://{containers.SOCKET}",
        "failSwapOn": False,
        "healthzPort": 0,
        "maxPods": 200,
        # A negative score needs CAP_SYS_RESOURCE.
        "oomScoreAdj": 0,
        "podLogsDir": str(pod_logs),
        "serializeImagePulls": False,
        # Images come from archives and must not be garbage-collected; a developer's disk is often nearly full.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        # There is no cluster DNS.
        "resolvConf": "/etc/resolv.conf",
        **cpus.manager(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(json.dumps(config, indent=2))
    return [
        str(binary), "kubelet", f"--config={path}", f"--root-dir={folder}", f"--cert-dir={folder / 'pki'}",
        f"--kubeconfig={kubeconfig}", f"--node-ip={network.ADDRESS}", f"--hostname-override={NAME}",
    ]  # fmt: skip


def kube_proxy(binary: Path, folder: Path, kubeconfig: Path) -> list[str]:
    """Write kube-proxy's configuration into the folder and return its command line."""
    config: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": NAME,
        "bindAddress": network.ADDRESS,
        "healthzBindAddress": f"{network.ADDRESS}:10256",
        "metricsBindAddress": f"{network.ADDRESS}:10249",
        "nodePortAddresses": [network.SUBNET],
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        # Otherwise responses between pods on the bridge would bypass NAT.
        "iptables": {"masqueradeAll": True, "localhostNodePorts": False},
        # Zero keeps the kernel's limits.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(json.dumps(config, indent=2))
    return [str(binary), "kube-proxy", f"--config={path}"]
