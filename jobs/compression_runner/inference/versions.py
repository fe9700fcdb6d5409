"""Versions of libraries and engines. onnxruntime has several packages, of which an image has one."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final

OTHER_PACKAGES: Final = {"onnxruntime": "onnxruntime-gpu"}
"""Package -> the one that images for GPUs have in its place."""


def library_version(name: str) -> str:
    """Return the version of a package, or of the one that has its place here."""
    try:
        return version(name)
    except PackageNotFoundError:
        if name not in OTHER_PACKAGES:
            raise
        return version(OTHER_PACKAGES[name])


def engine_version(engine: str) -> str:
    """Return the version of an inference engine: onnxruntime with any provider, OpenVINO, or PyTorch.

    Modules of PyTorch are those of transformers, whose version belongs to the engine's.
    """
    library = engine.partition("-")[0]
    return library_version(library) + (f" with transformers {version('transformers')}" if library == "torch" else "")
