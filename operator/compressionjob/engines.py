"""The values of ``spec.benchmark.engine``.

An engine and its device are one name, so that no two fields can contradict each other: an execution provider of
onnxruntime is a value of its own, and so is PyTorch on a GPU.
"""

from typing import Final, Literal, get_args

ProviderEngine = Literal["onnxruntime-cuda", "onnxruntime-tensorrt"]
TorchGpuEngine = Literal["torch-cuda", "torch-compile-cuda"]
TorchEngine = Literal["torch", "torch-compile", TorchGpuEngine]
Engine = Literal["auto", ProviderEngine, TorchEngine, "vllm"]

PROVIDER_ENGINES: Final[tuple[ProviderEngine, ...]] = get_args(ProviderEngine)
"""Execution providers of onnxruntime on a GPU."""
TORCH_ENGINES: Final[tuple[TorchEngine, ...]] = get_args(TorchEngine)
"""Engines that load both models as modules of PyTorch."""
COMPILING_ENGINES: Final[tuple[TorchEngine, ...]] = ("torch-compile", "torch-compile-cuda")
"""Engines that compile these modules with torch.compile."""
GPU_ENGINES: Final[tuple[ProviderEngine | TorchGpuEngine, ...]] = (*PROVIDER_ENGINES, *get_args(TorchGpuEngine))
"""Engines that measure both models on a GPU."""
