"""The check of an engine's compiled modules, with real ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from images.engines.check_libraries import missing_libraries

SCRIPT = Path("images/engines/check_libraries.py")


def compiled(folder: Path, name: str, *needed: Path) -> Path:
    """Return a shared library that needs others."""
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / name
    flags = ["-Wl,--no-as-needed", "-shared", f"-Wl,-soname,{name}", "-x", "c", "/dev/null", "-x", "none"]
    subprocess.run(["cc", *flags, *map(str, needed), "-o", str(library)], check=True)
    return library


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment whose engine needs libgone of the system, libc10 of torch, and the driver of a GPU."""
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    gone, driver = (compiled(tmp_path, name) for name in ("libgone.so.1", "libcuda.so.1"))
    torch = compiled(packages / "torch" / "lib", "libc10.so")
    compiled(packages / "engine", "_C.abi3.so", gone, driver, torch)
    compiled(packages / "other", "_other.so", compiled(tmp_path, "libother.so.1"))
    return tmp_path / "env"


def test_libraries_that_no_one_brings_are_missing(environment: Path) -> None:
    assert missing_libraries(environment, "engine") == {"libgone.so.1"}


def test_a_build_ends_with_their_names(environment: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(environment), "engine"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "engine lacks libgone.so.1: add the Debian package" in done.stderr


def test_an_environment_without_the_engine_is_no_success(environment: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no package absent"):
        missing_libraries(environment, "absent")
