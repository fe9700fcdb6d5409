"""`python -m localcluster COMMAND`: see README.md."""

import argparse
import json
import os
import sys

from localcluster import cluster, components, debian, gobuild, images, kueue, namespaces, node, paths, processes, site
from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from localcluster.progress import say, step


def main() -> int:
    """Run one command; print a message and return 1 if it fails."""
    parser = argparse.ArgumentParser(prog="python -m localcluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start the cluster, or the parts that do not run")
    commands.add_parser(
        "prepare", help="build and download the programs of a local cluster and of the tests; start nothing"
    )
    commands.add_parser("down", help="stop the cluster and remove all its traces")
    commands.add_parser("status", help="show which processes run")
    commands.add_parser("remains", help="list the remains of a cluster; exit with 1 if there are any")
    commands.add_parser("site", help="update the Python environment that pods mount")
    namespace = commands.add_parser("namespace", help="prepare a namespace for compression pods")
    namespace.add_argument("name")
    queue = commands.add_parser("kueue", help="build a real Kueue (once) and install it in the local cluster")
    queue.add_argument("--remove", action="store_true", help="remove it from the cluster, with all queues")
    commands.add_parser("networkpolicies", help="build the NetworkPolicy engine of the tests; start nothing")
    gpu = commands.add_parser("gpu", help="let the node report this number of GPUs, without any GPU")
    gpu.add_argument("count", type=int)
    logs = commands.add_parser("logs", help="print the end of a component's log")
    logs.add_argument("component", choices=components.NAMES)
    tool = commands.add_parser("tools", help="install Debian's Prometheus or Chromium, without starting it")
    tool.add_argument("name", choices=("prometheus", "chromium"))
    image = commands.add_parser("images", help="the project's own images, for the slow tests")
    image.add_argument("action", choices=("build", "load", "clean"))
    image.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(images.NAMES)}; all if none is given")
    arguments = parser.parse_args()
    try:
        return _run(arguments)
    except LocalClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "up":
            cluster.up()
        case "prepare":
            cluster.prepare() if os.geteuid() == 0 else cluster.prepare_servers()
        case "down":
            cluster.down()
        case "status":
            return _status()
        case "remains":
            return _remains()
        case _:
            _run_single(arguments)
    return 0


def _run_single(arguments: argparse.Namespace) -> None:
    """Run a command for a single part of the cluster."""
    match arguments.command:
        case "site":
            with step("Python environment for pods"):
                site.ensure()
        case "namespace":
            namespaces.prepare(arguments.name)
        case "kueue":
            kueue.remove() if arguments.remove else kueue.ensure()
        case "networkpolicies":
            gobuild.ensure(gobuild.NETWORK_POLICIES)
        case "gpu":
            _pretend_gpus(arguments.count)
        case "logs":
            _logs(arguments.component)
        case "tools":
            debian.ensure({"prometheus": debian.PROMETHEUS, "chromium": debian.CHROMIUM}[arguments.name])
        case "images":
            _images(arguments.action, tuple(arguments.names) or images.NAMES)


def _images(action: str, names: tuple[str, ...]) -> None:
    unknown = sorted(set(names) - set(images.NAMES))
    if unknown:
        raise LocalClusterError(f"There is no image {', '.join(unknown)}. There are: {', '.join(images.NAMES)}.")
    match action:
        case "build":
            images.build(names)
        case "load":
            images.load(names)
        case _:
            images.clean()


def _remains() -> int:
    left = cluster.remains()
    for item in left:
        say(item)
    return 1 if left else 0


def _logs(component: str) -> None:
    lines = (paths.logs() / f"{component}.log").read_text(errors="replace").splitlines()
    say("\n".join(lines[-50:]))


def _status() -> int:
    for name in components.NAMES:
        identity = processes.recorded(name)
        say(f"{name:<26}{f'process {identity.pid}' if identity else 'not running'}")
    return 0 if components.running() else 1


def _pretend_gpus(count: int) -> None:
    patch = {"status": {"capacity": {"nvidia.com/gpu": str(count)}, "allocatable": {"nvidia.com/gpu": str(count)}}}
    kubectl = Kubectl(components.admin_kubeconfig())
    kubectl.run("patch", "node", node.NAME, "--subresource=status", "--type=merge", f"--patch={json.dumps(patch)}")


if __name__ == "__main__":
    sys.exit(main())
