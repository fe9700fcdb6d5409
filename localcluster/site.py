"""The Python environment that pods mount: locked dependencies, and a snapshot of this clone's packages.

Each version of the packages has its own folder, which does not change, so that a running pod keeps its code. Folders
share files (hard links) with the environment of the dependencies.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from localcluster import debian, paths, tools
from localcluster.command import run
from localcluster.locks import exclusive

PYTHON: Final = "/usr/bin/python3.11"
"""Debian's interpreter, which the base image has at the same path."""
MOUNT: Final = "/opt/compression"
_EXTRAS: Final = ("--no-dev", "--extra", "operator", "--extra", "runner")
# A third of all code, which pods rarely import: the libraries' tests, and transformers models other than MiniLM's.
_NOT_COMPILED: Final = r"/tests?/|/torch/testing/|/transformers/models/(?!auto/|bert/)[^/]+/"
# Byte code is not checked against its source, because snapshots do not change. Some libraries have files for another
# version of Python.
_COMPILE: Final = """
import compileall, py_compile, re, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for folder in sys.argv[2:]:
    compileall.compile_dir(folder, rx=re.compile(sys.argv[1]), quiet=2, workers=0, invalidation_mode=mode)
"""
_FOLDERS: Final = ("operator", "jobs")
_KEPT: Final = 3


def root() -> Path:
    """Return the folder of all environments."""
    return paths.cache() / "site"


def current() -> Path:
    """Return the link to the newest snapshot, which PersistentVolumes use."""
    return root() / "current"


def ensure() -> Path:
    """Return the snapshot of this clone, create it if missing, and point ``current`` to it."""
    debian.ensure(debian.SITE)
    with exclusive(paths.cache() / "locks" / "site"):
        dependencies = _dependencies()
        target = root() / f"snapshot-{_digest(dependencies.name)}"
        if not target.exists():
            _snapshot(dependencies, target)
        _point_to(target)
        _forget_older()
    return target


def _dependencies() -> Path:
    """Return the environment with the packages of uv.lock, with byte code."""
    lock = (paths.REPOSITORY / "uv.lock").read_bytes()
    key = hashlib.sha256(lock + repr((PYTHON, _NOT_COMPILED)).encode()).hexdigest()[:16]
    target = root() / f"dependencies-{key}"
    if not target.exists():
        unfinished = _fresh(target)
        # scripts/setup takes the same lock, so that the wheels are downloaded once.
        with exclusive(paths.cache() / "locks" / "uv"):
            _uv(
                ["sync", "--frozen", "--no-install-project", *_EXTRAS, "--python", PYTHON],
                env={"UV_PROJECT_ENVIRONMENT": str(unfinished)},
            )
        _compile([unfinished / "lib"])
        unfinished.rename(target)
    return target


def _snapshot(dependencies: Path, target: Path) -> None:
    unfinished = _fresh(target)
    unfinished.mkdir()
    run(["cp", "--archive", "--link", dependencies, unfinished / "venv"])
    python = unfinished / "venv" / "bin" / "python"
    _uv(["pip", "install", "--no-deps", "--python", str(python), str(paths.REPOSITORY)])
    (packages,) = (unfinished / "venv" / "lib").glob("python*/site-packages")
    _compile([packages / name for name in _own_packages()])
    unfinished.chmod(0o755)
    unfinished.rename(target)


def _own_packages() -> list[str]:
    parents = (paths.REPOSITORY / folder for folder in _FOLDERS)
    return [init.parent.name for parent in parents for init in sorted(parent.glob("*/__init__.py"))]


def _compile(folders: list[Path]) -> None:
    """Write byte code, since pods cannot."""
    run([PYTHON, "-c", _COMPILE, _NOT_COMPILED, *folders])


def _uv(arguments: list[str], env: dict[str, str] | None = None) -> None:
    settings = {"UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "1", **(env or {})}
    run([tools.uv(), "--quiet", *arguments], cwd=paths.REPOSITORY, env=settings)


def _fresh(target: Path) -> Path:
    unfinished = target.with_name(f".unfinished-{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    return unfinished


def _digest(dependencies: str) -> str:
    digest = hashlib.sha256(dependencies.encode())
    for path in _sources():
        digest.update(str(path.relative_to(paths.REPOSITORY)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    yield paths.REPOSITORY / "pyproject.toml"
    for folder in _FOLDERS:
        for path in sorted((paths.REPOSITORY / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _point_to(target: Path) -> None:
    link = root() / ".next"
    link.unlink(missing_ok=True)
    link.symlink_to(target.name)
    link.replace(current())
    os.utime(target)


def _forget_older() -> None:
    for pattern in ("snapshot-*", "dependencies-*"):
        folders = sorted(root().glob(pattern), key=lambda folder: folder.stat().st_mtime)
        for folder in folders[:-_KEPT]:
            shutil.rmtree(folder, ignore_errors=True)
