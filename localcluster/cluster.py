"""The whole cluster: up, down, and what it left behind."""

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
    """Make the cluster run, from whatever state it is in; quick when it does already."""
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
        raise LocalClusterError(f"{longest} is too long for a socket. Let XDG_CACHE_HOME name a shorter folder.")


def _answers() -> bool:
    try:
        return components.node_is_ready()
    except LocalClusterError:
        return False


@dataclass(frozen=True)
class Prepared:
    """The steps that build and fetch what a cluster is made of."""

    packages: Step
    store: Step
    kubernetes: Step
    kubectl: Step
    images: tuple[Step, ...]


def prepare() -> None:
    """Build and fetch what a cluster is made of; what does not depend on each other goes on side by side."""
    with Steps() as steps:
        _prepare(steps)


def prepare_servers() -> None:
    """Build and fetch what single API servers and object stores are made of: it installs nothing, and needs no root."""
    with Steps() as steps:
        _prepare_servers(steps)


def _prepare_servers(steps: Steps) -> tuple[Step, Step, Step]:
    slow = "" if gobuild.is_built(gobuild.KUBERNETES) else "about 3 minutes, once"
    modules = steps.add("Go modules of Kubernetes", lambda: gobuild.download(gobuild.KUBERNETES))
    # One after the other: what both are made of, Go's own library before all, is then compiled once.
    store = steps.add("object store (versitygw)", lambda: gobuild.ensure(gobuild.VERSITYGW))
    kubernetes = steps.add(
        "Kubernetes from source", lambda: gobuild.ensure(gobuild.KUBERNETES), after=(modules, store), slow=slow
    )
    return store, kubernetes, steps.add("kubectl and helm", tools.kubectl)


def _prepare(steps: Steps) -> Prepared:
    packages = steps.add("Debian packages", lambda: debian.ensure(debian.LOCAL_CLUSTER))
    store, kubernetes, kubectl = _prepare_servers(steps)
    steps.add("Python environment for pods", site.ensure, after=(packages,))
    images = (
        steps.add("base image", podimages.base_archive, after=(packages,)),
        steps.add("pause image", podimages.pause_archive, after=(store,)),
    )
    return Prepared(packages, store, kubernetes, kubectl, images)


def _bring_up(*, starting: bool) -> None:
    """Prepare, and start what does not run, each step as soon as those before it are done."""
    with Steps() as steps:
        prepared = _prepare(steps)
        images = prepared.images
        if starting:
            # What an earlier cluster left goes only when all that the new one needs is there.
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
        with step("clear what an earlier cluster left"):
            _remove()
    if network.another_kubernetes():
        raise LocalClusterError("Another Kubernetes runs on this machine. End it first: two cannot share iptables.")
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
    """End every process, mount, interface, rule and group of the cluster, and forget its state."""
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
        raise LocalClusterError(f"The local cluster left something behind: {'; '.join(left)}.")


def remains() -> list[str]:
    """Return what exists of a cluster: processes, groups, mounts, interfaces, rules, folders."""
    found = [f"process {name}" for name in processes.names()]
    found += [f"process {pid}" for pid in sorted(cgroups.members())]
    found += ["cgroups"] if cgroups.exists() else []
    found += [f"mount {point}" for point in mounts.below(_folders())]
    found += [f"interface {link}" for link in network.links()]
    if shutil.which("iptables-save"):
        found += [f"iptables {rule}" for rule in network.rules()]
    found += [f"file {path}" for path in leftovers.find()]
    found += [f"folder {folder}" for folder in _folders() if folder.exists()]
    return found


def _folders() -> list[Path]:
    # The kernel lists mounts without symbolic links.
    return [paths.state().resolve(), paths.RUN]
