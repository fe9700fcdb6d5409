"""The two images of the local cluster: the pause image and the Debian base with Python, made once."""

import hashlib
import tempfile
from pathlib import Path

from localcluster import debian, gobuild, imagearchive, paths
from localcluster.command import run
from localcluster.locks import exclusive

PAUSE = "localhost/compression-operator-pause:local"
BASE = "localhost/compression-operator-base:local"

_SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,ca-certificates"
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def base_files() -> Path:
    """Return a tar file of Debian with the Python that the site's environment was made with, made when missing.

    It has this machine's certificate authorities, so that registries behind a proxy can be reached from a build.
    """
    authorities = _CA_BUNDLE.read_bytes() if _CA_BUNDLE.exists() else b""
    key = hashlib.sha256(repr((_SUITE, _PACKAGES, _EXCLUDED)).encode() + authorities).hexdigest()[:16]
    target = paths.cache() / "images" / f"base-{key}.tar"
    with exclusive(paths.cache() / "locks" / "base-image"):
        if not target.exists():
            debian.ensure(debian.BASE_IMAGE)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_suffix(".unfinished.tar")
            options = [f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED]
            if authorities:
                options.append(f"--customize-hook=copy-in {_CA_BUNDLE} {_CA_BUNDLE.parent}")
            run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}", *options, _SUITE, unfinished])
            unfinished.rename(target)
    return target


def base_archive() -> Path:
    """Return the archive of the base image, made when missing."""
    files = base_files()
    target = files.with_name(f"{files.stem}-image{imagearchive.FORMAT}.tar")
    with exclusive(paths.cache() / "locks" / "base-image"):
        if not target.exists():
            path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            imagearchive.write(target, BASE, files, command=["/usr/bin/python3"], environment=[path])
    return target


def pause_archive() -> Path:
    """Return the archive of the pause image, made when missing."""
    binary = gobuild.ensure(gobuild.PAUSE)
    target = binary.with_name(f"pause-image{imagearchive.FORMAT}.tar")
    with exclusive(paths.cache() / "locks" / "pause-image"), tempfile.TemporaryDirectory() as folder:
        if not target.exists():
            layer = imagearchive.layer_of(Path(folder) / "layer.tar", {"/pause": binary})
            imagearchive.write(target, PAUSE, layer, command=["/pause"])
    return target
