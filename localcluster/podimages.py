"""Images that are built once: pause, this machine's Python for pods, and a Debian base for the project's images."""

import hashlib
import tempfile
from pathlib import Path

from localcluster import debian, gobuild, hostfiles, imagearchive, paths
from localcluster.command import run
from localcluster.locks import exclusive

PAUSE = "localhost/compression-operator-pause:local"
BASE = "localhost/compression-operator-base:local"
DEBIAN = "localhost/compression-operator-debian:local"

# The Python of the site's environment, the libraries that its wheels need, and a shell for debugging. vLLM runs lscpu,
# which every Debian image has, and needs libnuma, as its image has (images/engines/vllm.packages).
_BASE_PACKAGES = (
    "base-files", "ca-certificates", "coreutils", "dash", "libc-bin", "libnuma1", "libstdc++6", "python3", "tzdata",
    "util-linux",
)  # fmt: skip
_AUTHORITIES = Path("/etc/ssl/certs")
_SUITE = "bookworm"
_DEBIAN_PACKAGES = "python3,python3-venv,ca-certificates"
_EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_COMMAND = ("/usr/bin/python3",)
_ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)


def base_archive() -> Path:
    """Return the archive of the image of the pods; create it if missing."""
    debian.ensure(debian.SITE)
    packages = hostfiles.closure(_BASE_PACKAGES, hostfiles.installed())
    versions = [(package.name, package.version) for package in packages]
    key = hashlib.sha256(repr((hostfiles.FORMAT, versions, _EXCLUDED)).encode() + _bundle().read_bytes()).hexdigest()[
        :16
    ]
    target = paths.cache() / "images" / f"base-{key}-image{imagearchive.FORMAT}.tar"
    with exclusive(paths.cache() / "locks" / "base-image"):
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                layer = Path(folder) / "layer.tar"
                hostfiles.write_layer(layer, packages, more=[_AUTHORITIES], excluded=_EXCLUDED)
                imagearchive.write(target, BASE, layer, command=_COMMAND, environment=_ENVIRONMENT)
    return target


def debian_archive() -> Path:
    """Return the archive of a Debian image with apt; create it if missing.

    It has this machine's certificate authorities, so that builds can reach registries behind a proxy.
    """
    debian.ensure(debian.IMAGES)
    key = hashlib.sha256(repr((_SUITE, _DEBIAN_PACKAGES, _EXCLUDED)).encode() + _bundle().read_bytes()).hexdigest()[:16]
    target = paths.cache() / "images" / f"debian-{key}-image{imagearchive.FORMAT}.tar"
    with exclusive(paths.cache() / "locks" / "debian-image"):
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                layer = Path(folder) / "layer.tar"
                options = [f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED]
                options += [f"--include={_DEBIAN_PACKAGES}", f"--customize-hook=copy-in {_bundle()} {_AUTHORITIES}"]
                run(["mmdebstrap", "--quiet", "--variant=minbase", *options, _SUITE, layer])
                imagearchive.write(target, DEBIAN, layer, command=_COMMAND, environment=_ENVIRONMENT)
    return target


def _bundle() -> Path:
    return _AUTHORITIES / "ca-certificates.crt"


def pause_archive() -> Path:
    """Return the archive of the pause image; create it if missing."""
    binary = gobuild.ensure(gobuild.PAUSE)
    target = binary.with_name(f"pause-image{imagearchive.FORMAT}.tar")
    with exclusive(paths.cache() / "locks" / "pause-image"), tempfile.TemporaryDirectory() as folder:
        if not target.exists():
            layer = imagearchive.layer_of(Path(folder) / "layer.tar", {"/pause": binary})
            imagearchive.write(target, PAUSE, layer, command=["/pause"])
    return target
