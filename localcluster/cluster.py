"""The whole cluster: start, stop, and check for remains."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from localcluster import (
    cgroups,
    components,
    containers,
    debian,
    gobuild,
    leftovers,
    mounts,
    network,
    paths,
    podimages,
    processes,
    s3,
    site,
    tools,
)  # fmt: skip
from localcluster.errors import LocalClusterError
from localcluster.locks import exclusive
from localcluster.progress import say, step
from localcluster.steps import Step, Steps
from localcluster.waiting import until

_SOCKET_PATH_LIMIT = 107  # unix(7)


def up() -> None:
    """Start the cluster from any state; quick if it runs already."""
    if os.geteuid() != 0:
        raise LocalClusterError("The local cluster needs root (cgroups, mounts, network). Run this as root.")
    _check_length()
    with exclusive(paths.cache() / "locks" / "cluster"):
        _bring_up(starting=not (components.running() and _answers()))
        _write_environment()
    say(f"  ok   Kubernetes {gobuild.KUBERNETES_VERSION}: export KUBECONFIG={components.admin_kubeconfig()}")


def _check_length() -> None:
    longest = paths.state().resolve() / "kubelet" / "pod-resources" / "kubelet.sock"
    if len(str(longest)) > _SOCKET_PATH_LIMIT:
        raise LocalClusterError(f"{longest} is too long for a socket. Set XDG_CACHE_HOME to a shorter folder.")


def _answers() -> bool:
    try:
        return components.node_is_ready()
    except LocalClusterError:
        return False


@dataclass(frozen=True)
class PreparationSteps:
    """The steps that build and download the programs of a cluster."""

    packages: Step
    store: Step
    kubernetes: Step
    kubectl: Step
    images: tuple[Step, ...]


def prepare() -> None:
    """Build and download the programs of a cluster. Independent steps run in parallel."""
    with Steps() as steps:
        _prepare(steps)


def prepare_servers() -> None:
    """Build and download the programs of single API servers and object stores. It needs no root."""
    with Steps() as steps:
        _prepare_servers(steps)


def _prepare_servers(steps: Steps) -> tuple[Step, Step, Step]:
    slow = "" if gobuild.is_built(gobuild.KUBERNETES) else "about 3 minutes, once"
    modules = steps.add("Go modules of Kubernetes", lambda: gobuild.download(gobuild.KUBERNETES))
    # The builds run one after the other, so that shared packages such as Go's library are compiled once.
    store = steps.add("object store (versitygw)", lambda: gobuild.ensure(gobuild.VERSITYGW))
    kubernetes = steps.add(
        "Kubernetes from source", lambda: gobuild.ensure(gobuild.KUBERNETES), after=(modules, store), slow=slow
    )
    return store, kubernetes, steps.add("kubectl and helm", tools.kubectl)


def _prepare(steps: Steps) -> PreparationSteps:
    packages = steps.add("Debian packages", lambda: debian.ensure(debian.LOCAL_CLUSTER))
    store, kubernetes, kubectl = _prepare_servers(steps)
    steps.add("Python environment for pods", site.ensure, after=(packages,))
    images = (
        steps.add("base image", podimages.base_archive, after=(packages,)),
        steps.add("pause image", podimages.pause_archive, after=(store,)),
    )
    return PreparationSteps(packages, store, kubernetes, kubectl, images)


def _bring_up(*, starting: bool) -> None:
    """Prepare and start the cluster. Each step starts as soon as the steps that it needs are done."""
    with Steps() as steps:
        prepared = _prepare(steps)
        images = prepared.images
        if starting:
            # The remains of an earlier cluster are removed only when the new cluster is built.
            built = (prepared.store, prepared.kubernetes) if remains() else ()
            network_ready = steps.add("network", _begin, after=(prepared.packages, *built))
            containerd = steps.add("containerd", components.start_containerd, after=(network_ready,))
            steps.add("object store answers", components.start_object_store, after=(network_ready, prepared.store))
            plane = steps.add(
                "control plane, kubelet and kube-proxy",
                components.start_kubernetes,
                after=(containerd, prepared.kubernetes),
            )
            steps.add("the node is ready", _wait_for_node, after=(plane, prepared.kubectl))
            images = (*images, containerd)
        steps.add("images loaded", _load_images, after=images)


def _begin() -> None:
    if remains():
        with step("remove an earlier cluster"):
            _remove()
    if network.another_kubernetes():
        raise LocalClusterError("Another Kubernetes runs on this machine. Stop it first: two cannot share iptables.")
    components.create_network()


def _wait_for_node() -> None:
    until("The node is ready", components.node_is_ready, 120, remedy=f"Logs are in {paths.logs()}.")


def _load_images() -> None:
    present = containers.images()
    wanted = {podimages.PAUSE: podimages.pause_archive, podimages.BASE: podimages.base_archive}
    containers.load([make() for name, make in wanted.items() if name not in present])


def _write_environment() -> None:
    lines = {
        "KUBECONFIG": str(components.admin_kubeconfig()),
        "PATH": f"{paths.binaries()}:$PATH",
        "S3_ENDPOINT": components.s3_endpoint(),
        "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY,
        "AWS_REGION": s3.REGION,
    }
    (paths.state() / "env").write_text("".join(f'export {name}="{value}"\n' for name, value in lines.items()))


def down() -> None:
    """Remove every process, mount, interface, rule, group and file of the cluster."""
    with exclusive(paths.cache() / "locks" / "cluster"):
        if not remains():
            say("  ok   nothing of a local cluster is left")
            return
        with step("end the local cluster"):
            _remove()


def _remove() -> None:
    processes.stop(processes.names())
    cgroups.remove()
    mounts.unmount(_folders())
    if shutil.which("iptables-save"):
        network.remove()
    containers.forget()
    leftovers.remove()
    for folder in (paths.state(), paths.RUN):
        shutil.rmtree(folder, ignore_errors=True)
    left = remains()
    if left:
        raise LocalClusterError(f"The local cluster could not be removed completely: {'; '.join(left)}.")


def remains() -> list[str]:
    """Return the remains of a cluster: processes, groups, mounts, interfaces, rules, files and folders."""
    items = [f"process {name}" for name in processes.names()]
    items += [f"process {pid}" for pid in sorted(cgroups.members())]
    items += ["cgroups"] if cgroups.exists() else []
    items += [f"mount {point}" for point in mounts.below(_folders())]
    items += [f"interface {link}" for link in network.links()]
    if shutil.which("iptables-save"):
        items += [f"iptables {rule}" for rule in network.rules()]
    items += [f"file {path}" for path in leftovers.find()]
    items += [f"folder {folder}" for folder in _folders() if folder.exists()]
    return items


def _folders() -> list[Path]:
    # The kernel lists mounts without symbolic links.
    return [paths.state().resolve(), paths.RUN]
