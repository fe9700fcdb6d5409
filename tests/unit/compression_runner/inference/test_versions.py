"""Versions of engines, also where an image has another package of onnxruntime."""

from importlib.metadata import PackageNotFoundError

import onnxruntime
import pytest

from compression_runner.inference import versions
from compression_runner.inference.versions import engine_version, library_version


@pytest.mark.parametrize("engine", ["onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_every_provider_has_the_version_of_onnxruntime(engine: str) -> None:
    assert engine_version(engine) == onnxruntime.__version__


def test_the_package_for_gpus_stands_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(name: str) -> str:
        if name == "onnxruntime-gpu":
            return "1.31.1"
        raise PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", installed)
    assert library_version("onnxruntime") == "1.31.1"
    with pytest.raises(PackageNotFoundError):
        library_version("onnx")
