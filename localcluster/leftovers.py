"""Files that the kubelet and CNI write to fixed paths, which other programs may use too."""

from pathlib import Path

from localcluster import network, paths

_POD_LOG_LINKS = Path("/var/log/containers")
_CNI_RESULTS = Path("/var/lib/cni/results")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")


def find() -> list[Path]:
    """Return the files of the cluster at those paths."""
    links = [link for link in _listed(_POD_LOG_LINKS) if link.is_symlink()]
    log_links = [link for link in links if link.readlink().is_relative_to(paths.logs())]
    # Results of the loopback plugin do not have our name, but the id of a container with a result of our network.
    results = _listed(_CNI_RESULTS)
    ours = {path.name.split("-")[-2] for path in results if path.name.startswith(f"{network.CNI_NAME}-")}
    return log_links + [path for path in results if path.name.split("-")[-2] in ours]


def remove() -> None:
    """Remove those files and the folders that become empty."""
    for path in find():
        path.unlink()
    socket = _DEVICE_PLUGINS / "kubelet.sock"
    if socket.is_socket():
        socket.unlink()
    for folder in (_POD_LOG_LINKS, _CNI_RESULTS, _CNI_RESULTS.parent, _DEVICE_PLUGINS, _DEVICE_PLUGINS.parent):
        if folder.is_dir() and not _listed(folder):
            folder.rmdir()


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
