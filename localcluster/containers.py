"""containerd: its configuration and images."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from localcluster import paths, podimages, processes
from localcluster.command import run

SOCKET = paths.RUN / "containerd" / "containerd.sock"
_STATE = paths.RUN / "containerd"
_RUNC_STATE = paths.RUN / "runc"
# containerd's default, the same for every containerd of a machine.
_SHIM_SOCKETS = Path("/run/containerd/s")

_CONFIG = """\
version = 2
root = "{root}"
state = "{state}"
oom_score = 0
# opt writes to /opt; the snapshotters need devices or file systems that may not exist.
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # A machine without CAP_SYS_RESOURCE cannot lower a score, and then no sandbox would start.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{cni}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = false
    Root = "{runc}"
"""


def configure(folder: Path, cni: Path) -> list[str]:
    """Write containerd's configuration into the folder, which also gets its images; return its command line."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.toml"
    config.write_text(
        _CONFIG.format(
            root=folder / "root", state=_STATE, socket=SOCKET, pause=podimages.PAUSE, cni=cni, runc=_RUNC_STATE
        )
    )
    return ["containerd", "--config", str(config)]


def answers() -> bool:
    """Return whether containerd responds."""
    return SOCKET.is_socket() and run(["ctr", "--address", SOCKET, "version"], timeout=20) != ""


def load(archives: Sequence[Path]) -> None:
    """Import image archives, so that the kubelet finds them without a registry."""
    for archive in archives:
        # The importer must end when `up` is killed.
        run(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "ctr",
                "--address",
                SOCKET,
                "--namespace",
                "k8s.io",
                "images",
                "import",
                archive,
            ]
        )


def images() -> list[str]:
    """Return the names of the images that the kubelet can use."""
    listed = run(["ctr", "--address", SOCKET, "--namespace", "k8s.io", "images", "list", "--quiet"]).split()
    return [name for name in listed if not name.startswith("sha256:")]


def remove_images(names: Sequence[str]) -> None:
    """Remove images and the layers that no other image uses."""
    run(["ctr", "--address", SOCKET, "--namespace", "k8s.io", "images", "remove", "--sync", *names])


def forget() -> None:
    """Remove the state that containerd keeps outside its root, after all shims have ended."""
    for folder in (_STATE, _RUNC_STATE):
        shutil.rmtree(folder, ignore_errors=True)
    if not _another_containerd():
        shutil.rmtree(_SHIM_SOCKETS, ignore_errors=True)
        if _SHIM_SOCKETS.parent.exists() and not list(_SHIM_SOCKETS.parent.iterdir()):
            _SHIM_SOCKETS.parent.rmdir()


def _another_containerd() -> bool:
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().startswith("containerd") and processes.identify(int(path.parent.name)):
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return False
