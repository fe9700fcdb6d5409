"""The project's own images: built from images/ with buildah and loaded into the local cluster, for the slow tests."""

import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster import containers, mounts, paths, podimages
from localcluster.command import run
from localcluster.errors import LocalClusterError
from localcluster.locks import exclusive
from localcluster.progress import step


@dataclass(frozen=True)
class Recipe:
    """A Dockerfile, the image that it makes and the image that it starts from."""

    dockerfile: str
    name: str
    based_on: str


def tag() -> str:
    """Return the version of this repository."""
    project = tomllib.loads((paths.REPOSITORY / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def recipes() -> dict[str, Recipe]:
    """Return what can be built, each after what it is based on."""
    runner = f"localhost/compression-runner:{tag()}"
    return {
        "operator": Recipe("operator.Dockerfile", f"localhost/compression-operator:{tag()}", podimages.DEBIAN),
        "runner": Recipe("runner.Dockerfile", runner, podimages.DEBIAN),
        "runner-cuda": Recipe("runner-cuda.Dockerfile", f"{runner}-cuda", runner),
    }


NAMES: Final = ("operator", "runner", "runner-cuda")


def build(names: tuple[str, ...] = NAMES) -> None:
    """Build images into a storage of their own; the runner takes 6 GB and needs its base for the CUDA one."""
    with exclusive(_lock()):
        _buildah("pull", "--quiet", f"docker-archive:{podimages.debian_archive()}")
        for name in names:
            recipe = recipes()[name]
            with step(f"build {recipe.name}"):
                # No namespaces and no systemd are needed that way.
                _buildah(
                    "bud", "--isolation", "chroot", "--network", "host", "--pull-never", "--quiet",
                    "--file", str(paths.REPOSITORY / "images" / recipe.dockerfile),
                    "--build-arg", f"BASE={recipe.based_on}", "--tag", recipe.name, str(paths.REPOSITORY),
                )  # fmt: skip


def load(names: tuple[str, ...] = NAMES) -> None:
    """Put built images into the running cluster's containerd, without a copy on disk in between."""
    with exclusive(_lock()):
        for name in names:
            recipe = recipes()[name]
            with step(f"load {recipe.name}"):
                _stream(recipe.name)


@contextmanager
def mounted(name: str) -> Iterator[Path]:
    """Mount the files of a built image, for as long as the block runs."""
    with exclusive(_lock()):
        container = run(_command("from", "--pull-never", recipes()[name].name), env=_environment()).strip()
        try:
            yield Path(run(_command("mount", container), env=_environment()).strip())
        finally:
            _buildah("umount", container)
            _buildah("rm", container)


def tag_as(name: str, reference: str) -> None:
    """Give a built image another name in the builder's storage."""
    with exclusive(_lock()):
        _buildah("tag", recipes()[name].name, reference)


def push(reference: str) -> None:
    """Put an image of the builder's storage into the running cluster's containerd: its nodes need no registry then."""
    with exclusive(_lock()):
        _stream(reference)


def clean() -> None:
    """Remove the images from the cluster and the builder's storage."""
    with exclusive(_lock()):
        ours = {recipe.name for recipe in recipes().values()}
        if containers.SOCKET.is_socket():
            loaded = sorted(ours & set(containers.images()))
            if loaded:
                containers.remove_images(loaded)
        mounts.unmount([_storage().resolve()])
        shutil.rmtree(_storage(), ignore_errors=True)


def _stream(name: str) -> None:
    pull = [*_command("push", "--quiet", name, f"docker-archive:/dev/stdout:{name}")]
    load = ["ctr", "--address", str(containers.SOCKET), "--namespace", "k8s.io", "images", "import", "-"]
    with subprocess.Popen(pull, stdout=subprocess.PIPE, env=_environment()) as source:
        loaded = subprocess.run(load, stdin=source.stdout, capture_output=True, text=True, check=False)
    if source.returncode or loaded.returncode:
        raise LocalClusterError(f"{name} could not be loaded into containerd: {loaded.stderr or 'buildah failed'}")


def _buildah(*arguments: str) -> None:
    _storage().mkdir(parents=True, exist_ok=True)
    run(_command(*arguments), env=_environment())


def _command(*arguments: str) -> list[str]:
    folder = _storage()
    return ["buildah", "--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "overlay",
            *arguments]  # fmt: skip


def _environment() -> dict[str, str]:
    # Layers of gigabytes would otherwise pass through /var/tmp, and stay there after an interruption.
    temporary = _storage() / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {**os.environ, "TMPDIR": str(temporary)}


def _storage() -> Path:
    return paths.cache() / "buildah"


def _lock() -> Path:
    return paths.cache() / "locks" / "buildah"
