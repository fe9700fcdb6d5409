"""The project's images for the slow tests: build them from images/ with buildah and load them into the cluster."""

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
class ImageBuild:
    """A Dockerfile, the image that it builds and its base image."""

    dockerfile: str
    name: str
    based_on: str


def tag() -> str:
    """Return the version of this repository."""
    project = tomllib.loads((paths.REPOSITORY / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def image_builds() -> dict[str, ImageBuild]:
    """Return the images that can be built, each after its base image."""
    runner = f"localhost/compression-runner:{tag()}"
    return {
        "operator": ImageBuild("operator.Dockerfile", f"localhost/compression-operator:{tag()}", podimages.DEBIAN),
        "runner": ImageBuild("runner.Dockerfile", runner, podimages.DEBIAN),
        "runner-cuda": ImageBuild("runner-cuda.Dockerfile", f"{runner}-cuda", runner),
    }


NAMES: Final = ("operator", "runner", "runner-cuda")


def build(names: tuple[str, ...] = NAMES) -> None:
    """Build images into a separate storage. The runner takes 6 GB, and runner-cuda needs the runner as its base."""
    with exclusive(_lock()):
        _buildah("pull", "--quiet", f"docker-archive:{podimages.debian_archive()}")
        for name in names:
            image = image_builds()[name]
            with step(f"build {image.name}"):
                # With these options the build needs no namespaces and no systemd.
                _buildah(
                    "bud", "--isolation", "chroot", "--network", "host", "--pull-never", "--quiet",
                    "--file", str(paths.REPOSITORY / "images" / image.dockerfile),
                    "--build-arg", f"BASE={image.based_on}", "--tag", image.name, str(paths.REPOSITORY),
                )  # fmt: skip


def load(names: tuple[str, ...] = NAMES) -> None:
    """Load built images into the running cluster's containerd, without a copy on disk."""
    with exclusive(_lock()):
        for name in names:
            image = image_builds()[name]
            with step(f"load {image.name}"):
                _stream(image.name)


@contextmanager
def mounted(name: str) -> Iterator[Path]:
    """Mount the files of a built image while the block runs."""
    with exclusive(_lock()):
        container = run(_command("from", "--pull-never", image_builds()[name].name), env=_environment()).strip()
        try:
            yield Path(run(_command("mount", container), env=_environment()).strip())
        finally:
            _buildah("umount", container)
            _buildah("rm", container)


def tag_as(name: str, reference: str) -> None:
    """Give a built image another name in the builder's storage."""
    with exclusive(_lock()):
        _buildah("tag", image_builds()[name].name, reference)


def push(reference: str) -> None:
    """Load an image of the builder's storage into the running cluster's containerd, in place of a registry."""
    with exclusive(_lock()):
        _stream(reference)


def clean() -> None:
    """Remove the images from the cluster and the builder's storage."""
    with exclusive(_lock()):
        ours = {image.name for image in image_builds().values()}
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
    # Otherwise layers of gigabytes would go through /var/tmp, and stay there after an interruption.
    temporary = _storage() / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {**os.environ, "TMPDIR": str(temporary)}


def _storage() -> Path:
    return paths.cache() / "buildah"


def _lock() -> Path:
    return paths.cache() / "locks" / "buildah"
