"""Try whether PyTorch can measure here: whether it has a GPU, and whether torch.compile works."""

import logging
import os
import shutil
from typing import Final

import torch

from compression_runner.errors import LIBRARY_ERRORS, cause
from compression_runner.inference.torch_modules import COMPILING
from compression_runner.inference.versions import library_version
from compressionjob.engines import GPU_ENGINES, TorchEngine

LOG: Final = logging.getLogger(__name__)
COMPILER: Final = "g++"
"""The C++ compiler of torch.compile, unless CXX names another."""
HOST_COMPILER: Final = "gcc"
"""The C compiler that Triton needs on a GPU, unless CC names another."""


def no_gpu(engine: TorchEngine) -> str:
    """Return why torch does not find the GPU of an engine; empty if it does, or for an engine on the CPU."""
    if engine not in GPU_ENGINES or torch.cuda.is_available():
        return ""
    return f"torch {library_version('torch')} of this image finds no GPU, or has no CUDA"


def not_compiling(engine: TorchEngine) -> str:
    """Return why torch.compile does not work here; empty if it does.

    It takes seconds to about a minute, since it compiles the headers of PyTorch.
    """
    on_gpu = engine in GPU_ENGINES
    variable, usual = ("CC", HOST_COMPILER) if on_gpu else ("CXX", COMPILER)
    compiler = os.environ.get(variable) or usual
    if shutil.which(compiler) is None:
        return f"torch.compile needs a compiler, and this image has no {compiler}"
    try:
        compiled = torch.compile(lambda values: torch.sin(values) + 1, **COMPILING)
        compiled(torch.ones(3, device="cuda" if on_gpu else "cpu"))
    except LIBRARY_ERRORS as error:
        LOG.warning("torch.compile: %s", cause(error))
        return f"torch.compile does not compile a function of one line with {compiler} (the log has its message)"
    finally:
        torch.compiler.reset()
    return ""
