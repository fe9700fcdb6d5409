"""The execution providers of onnxruntime that run graphs on a GPU, and their options.

https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html,
https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compression_runner.inference.placement import CPU_PROVIDER
from compressionjob.engines import ProviderEngine

Providers = list[tuple[str, dict[str, str]]]
"""Providers of a session with their options; each takes the nodes that those before it cannot run."""

_CUDA_OPTIONS: Final = {
    "device_id": "0",  # a pod sees its own GPUs only, and CUDA_VISIBLE_DEVICES numbers them from 0
    "use_tf32": "0",
    # The default times all algorithms, and its choice varies between runs.
    "cudnn_conv_algo_search": "HEURISTIC",
}


@dataclass(frozen=True)
class ExecutionProvider:
    """A provider, those that take the nodes which it cannot run, and the precision in which it computes."""

    name: str
    others: tuple[str, ...]
    precision: str


PROVIDERS: Final[Mapping[ProviderEngine, ExecutionProvider]] = {
    "onnxruntime-cuda": ExecutionProvider("CUDAExecutionProvider", (), "the types of the graph, float32 without TF32"),
    "onnxruntime-tensorrt": ExecutionProvider(
        "TensorrtExecutionProvider",
        ("CUDAExecutionProvider",),
        "the types of the graph; TensorRT may use TF32 for float32, and float16 in graphs that have it",
    ),
}


def providers_of(engine: ProviderEngine, model: Path) -> Providers:
    """Return the providers of a session for a graph, the CPU last: onnxruntime computes shapes there."""
    chosen = PROVIDERS[engine]
    options = {"CUDAExecutionProvider": _CUDA_OPTIONS}
    if chosen.name == "TensorrtExecutionProvider":
        options[chosen.name] = _tensorrt_options(model)
    return [(name, options.get(name, {})) for name in (chosen.name, *chosen.others, CPU_PROVIDER)]


def _tensorrt_options(model: Path) -> dict[str, str]:
    """Return TensorRT's options: it takes integers and float16 of a graph only if they are enabled."""
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    types = {tensor.data_type for tensor in graph.initializer}
    types |= {info.type.tensor_type.elem_type for info in (*graph.input, *graph.output, *graph.value_info)}
    quantized = any(node.op_type == "QuantizeLinear" for node in graph.node)
    return {
        "device_id": "0",
        "trt_fp16_enable": str(int(onnx.TensorProto.FLOAT16 in types)),
        "trt_int8_enable": str(int(quantized)),
    }
