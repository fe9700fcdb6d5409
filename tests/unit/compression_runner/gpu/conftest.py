"""The driver that pynvml talks to in these tests."""

from pathlib import Path

import pytest

from tests.support.nvml.driver import Driver, compiled, installed


@pytest.fixture(scope="package")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def driver(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    return installed(library, tmp_path / "says", monkeypatch)
