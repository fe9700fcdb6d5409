"""Download pinned packages from PyPI, npm and Debian into the cache, without installing them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


class FetchError(Exception):
    """A package of a sample cannot be downloaded."""


def cache() -> Path:
    """Return the cache folder of the samples."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "compression-operator" / "samples"


def pypi(name: str, version: str) -> Path:
    """Return the folder with the files of one PyPI package, without its dependencies."""
    return _once(cache() / "pypi" / f"{name}-{version}", lambda into: _install(f"{name}=={version}", into))


def npm(name: str, version: str) -> Path:
    """Return the folder with the files of one npm package, without its dependencies; its scripts do not run."""
    folder = cache() / "npm" / f"{name.removeprefix('@').replace('/', '-')}-{version}"
    return _once(folder, lambda into: _unpack(f"{name}@{version}", into)) / "package"


def debian(name: str) -> Path:
    """Return the folder with the files of one Debian package, in the version of this machine's archive."""
    return _once(cache() / "debian" / name, lambda into: _extract(name, into))


def _once(target: Path, make: Callable[[Path], None]) -> Path:
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        make(fresh)
        move(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def move(fresh: Path, target: Path) -> None:
    """Rename a finished folder to its final path. If another process was faster, keep its copy."""
    try:
        fresh.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _install(requirement: str, into: Path) -> None:
    uv = shutil.which("uv") or shutil.which(str(cache().parent / "uv-tool" / "bin" / "uv"))
    if uv:
        command = [uv, "pip", "install", "--python", sys.executable, "--no-deps", "--quiet", "--target", str(into)]
    else:
        command = [shutil.which("pip3") or "pip", "install", "--no-deps", "--quiet", "--target", str(into)]
    _run([*command, requirement], into.parent)


def _unpack(requirement: str, into: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        _run(["npm", "pack", "--silent", "--ignore-scripts", requirement], Path(work))
        for package in Path(work).glob("*.tgz"):
            # tar leaves out absolute paths and paths with "..".
            _run(["tar", "-xzf", str(package), "-C", str(into)], Path(work))


def _extract(name: str, into: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        _run(["apt-get", "download", "-qq", name], Path(work))
        for package in Path(work).glob("*.deb"):
            _run(["dpkg", "-x", str(package), str(into)], Path(work))


def _run(command: list[str], where: Path) -> None:
    try:
        done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"{command[0]} cannot run: {error}; it is needed to fetch the sample") from error
    if done.returncode != 0:
        raise FetchError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
