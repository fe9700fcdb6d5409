"""images/install verifies a hash for every file, also with another index for torch."""

import base64
import hashlib
import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from images.pin import DOCKERFILES
from localcluster import tools


class Quiet(SimpleHTTPRequestHandler):
    """A file server without log output."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def wheel(folder: Path, name: str, version: str, needs: str = "") -> str:
    """Write a wheel with one module to the index of a folder; return its SHA-256."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n" + (
        f"Requires-Dist: {needs}\n" if needs else ""
    )
    files = {
        f"{module}.py": f"version = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    sums = {
        path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for path, text in files.items()
    }
    record = "".join(f"{path},sha256={sums[path]},{len(text)}\n" for path, text in files.items())
    target = place / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(place.glob("*.whl"))}
    links = "".join(f'<a href="{path}#sha256={sha256}">{path}</a>' for path, sha256 in sums.items())
    (place / "index.html").write_text(f"<html><body>{links}</body></html>")
    return sums[target.name]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Serve two indexes, `usual` and `cpu`; yield their URL, and the hash of torch's wheel in `cpu`."""
    usual, cpu = tmp_path / "indexes" / "usual", tmp_path / "indexes" / "cpu"
    wheel(usual, "nvidia-cublas", "13.0")
    wheel(usual, "nvidia-ml-py", "13.0")
    wheel(usual, "numpy", "2.0")
    wheel(usual, "torch", "2.0", "nvidia-cublas")
    sha256 = wheel(cpu, "torch", "2.0+cpu")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "indexes")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", sha256
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def project(tmp_path: Path, index: tuple[str, str]) -> Path:
    """Write a locked project whose extra `runner` needs torch, numpy and NVIDIA's bindings."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "tiny"\nversion = "1"\nrequires-python = ">=3.11"\n'
        '[project.optional-dependencies]\nrunner = ["torch==2.0", "numpy", "nvidia-ml-py"]\n'
        f'[[tool.uv.index]]\nurl = "{index[0]}/usual"\ndefault = true\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    # A build backend that copies an existing wheel, so that nothing is downloaded.
    sha256 = wheel(tmp_path / "own", "tiny", "1")
    assert sha256
    (folder / "backend.py").write_text(
        "import shutil\n"
        "def build_wheel(folder, *_):\n"
        f"    return shutil.copy({str(tmp_path / 'own/tiny/tiny-1-py3-none-any.whl')!r}, folder).rpartition('/')[2]\n"
    )
    subprocess.run([tools.uv(), "lock", "--quiet"], cwd=folder, check=True, env=surroundings(tmp_path))
    return folder


def surroundings(tmp_path: Path, **more: str) -> dict[str, str]:
    """Return an environment with only the indexes of the test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    path = f"{tools.uv().parent}:{os.environ['PATH']}"
    return kept | {"PATH": path, "UV_NO_CACHE": "1", "COMPRESSION_VENV": str(tmp_path / "venv"), **more}


def install(project: Path, tmp_path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [str(DOCKERFILES / "install"), "runner"]
    settings = surroundings(tmp_path, **more)
    return subprocess.run(command, cwd=project, env=settings, capture_output=True, text=True, check=False)


def installed(tmp_path: Path) -> set[str]:
    distributions = (tmp_path / "venv").glob("lib/python3.*/site-packages/*.dist-info")
    return {path.name.removesuffix(".dist-info") for path in distributions}


def test_torch_of_another_index_is_installed_by_its_hash_and_the_rest_by_the_locks(
    project: Path, index: tuple[str, str], tmp_path: Path
) -> None:
    url, sha256 = index
    done = install(project, tmp_path, TORCH_INDEX=f"{url}/cpu", TORCH_SHA256=f"{'0' * 64} {sha256}")
    assert done.returncode == 0, done.stderr
    assert installed(tmp_path) == {"torch-2.0+cpu", "numpy-2.0", "nvidia_ml_py-13.0", "tiny-1"}


def test_another_wheel_of_torch_than_the_hash_names_is_refused(
    project: Path, index: tuple[str, str], tmp_path: Path
) -> None:
    done = install(project, tmp_path, TORCH_INDEX=f"{index[0]}/cpu", TORCH_SHA256="0" * 64)
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()


def test_another_wheel_of_a_locked_package_is_refused(project: Path, index: tuple[str, str], tmp_path: Path) -> None:
    url, sha256 = index
    wheel(tmp_path / "indexes" / "usual", "numpy", "2.0", "nvidia-cublas")
    done = install(project, tmp_path, TORCH_INDEX=f"{url}/cpu", TORCH_SHA256=sha256)
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()


def test_an_index_without_a_hash_is_refused(project: Path, index: tuple[str, str], tmp_path: Path) -> None:
    done = install(project, tmp_path, TORCH_INDEX=f"{index[0]}/cpu")
    assert done.returncode == 1
    assert "TORCH_SHA256 is missing: add the SHA-256" in done.stderr


def test_without_another_index_all_packages_come_from_the_lock(project: Path, tmp_path: Path) -> None:
    done = install(project, tmp_path)
    assert done.returncode == 0, done.stderr
    assert installed(tmp_path) == {"torch-2.0", "nvidia_cublas-13.0", "numpy-2.0", "nvidia_ml_py-13.0", "tiny-1"}
