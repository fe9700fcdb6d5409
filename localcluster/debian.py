"""Installation of missing Debian packages."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster import paths
from localcluster.command import run
from localcluster.errors import LocalClusterError
from localcluster.hostfiles import INSTALLED
from localcluster.locks import exclusive

CLUSTER = ("containerd", "runc", "containernetworking-plugins", "iptables", "iproute2", "openssl")
SITE = ("python3", "python3-venv", "ca-certificates", "libnuma1", "tzdata")
LOCAL_CLUSTER = (*CLUSTER, *SITE)
IMAGES = ("buildah", "fuse-overlayfs", "mmdebstrap", "ca-certificates")
PROMETHEUS = ("prometheus", "prometheus-alertmanager")
CHROMIUM = ("chromium", "fonts-dejavu-core")

_POLICY = Path("/usr/sbin/policy-rc.d")
_LOCK_SECONDS = 300


def ensure(packages: tuple[str, ...]) -> None:
    """Install the packages that are missing, without starting their services.

    Raises LocalClusterError if apt is missing, the user is not root or the installation fails.
    """
    with exclusive(paths.cache() / "locks" / "apt"):
        missing = _missing(packages)
        if not missing:
            return
        if os.geteuid() != 0:
            raise LocalClusterError(f"Debian packages are missing. Run `apt-get install {' '.join(missing)}` as root.")
        with _no_services():
            if not all(_is_known(package) for package in missing):
                _apt("update")
            try:
                _apt("install", *missing)
            except LocalClusterError:
                # The package lists may be older than the mirror's packages.
                _apt("update")
                _apt("install", *missing)


def _missing(packages: tuple[str, ...]) -> list[str]:
    return [package for package in packages if not _is_installed(package)]


def _is_installed(package: str) -> bool:
    status = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return status.stdout in INSTALLED


def _is_known(package: str) -> bool:
    return bool(run(["apt-cache", "madison", package], remedy="This needs Debian or a system like it.").strip())


def _apt(verb: str, *packages: str) -> None:
    options = ["-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}"]
    if verb == "install":
        options += ["--yes", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"]
    run(["apt-get", "-qq", *options, verb, *packages], env={"DEBIAN_FRONTEND": "noninteractive"})


@contextmanager
def _no_services() -> Iterator[None]:
    """Forbid package scripts to start services (policy-rc.d of invoke-rc.d), unless the machine has its own policy."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
