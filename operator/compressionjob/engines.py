"""The values of ``spec.benchmark.engine``.

An execution provider of onnxruntime is a value of its own: an engine and its device in one name, so that no two fields
can contradict each other.
"""

from typing import Final, Literal, get_args

GpuEngine = Literal["onnxruntime-cuda", "onnxruntime-tensorrt"]
Engine = Literal["auto", GpuEngine, "vllm"]
GPU_ENGINES: Final[tuple[GpuEngine, ...]] = get_args(GpuEngine)
"""Engines that measure both models on a GPU."""
