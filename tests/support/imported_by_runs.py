"""Imports of the modules that runs import late. It is imported by the fork server of `tests.support.forked`."""

import importlib
import os
from typing import Final

from compression_runner import garbage_collection

MODULES: Final = (
    "compression_runner.commands.pod",
    "compression_runner.commands.run",
    "compression_runner.commands.unpack",
    "compression_runner.methods.registry",
    "compression_runner.pipeline.machine_lock",
    "compression_runner.pipeline.reviewed",
    "boto3",
    "nncf",
    "onnxruntime.quantization",
    "onnxscript.function_libs.torch_lib.ops",
    "openvino",
    "pandas",
    "tensorly",
    "torch._functorch.aot_autograd",
    "torch._inductor.codecache",
    "torch.export._trace",
    "torch.onnx._internal.exporter._core",
    "torch_pruning",
    "transformers.models.auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.llama.modeling_llama",
    "transformers.models.resnet.modeling_resnet",
)

# Torch reads it on import; compression_runner.__main__ sets it otherwise.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
with garbage_collection.importing():
    for name in MODULES:
        importlib.import_module(name)
