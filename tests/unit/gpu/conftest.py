"""The driver that pynvml talks to in these tests."""

import ctypes
import os
from pathlib import Path

import pynvml
import pytest

from tests.unit.gpu.driver import Driver, compiled


@pytest.fixture(scope="package")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("nvml"))


def installed(library: Path, says: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Put a library in the place that pynvml loads the system's into, which this process may have loaded already."""
    loaded = ctypes.CDLL(str(library))
    monkeypatch.setattr(pynvml, "nvmlLib", loaded)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setenv("FAKE_NVML", str(says))
    return Driver(says, loaded, os.getpid())


@pytest.fixture
def driver(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    return installed(library, tmp_path / "says", monkeypatch)
