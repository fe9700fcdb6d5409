"""Quantization: fewer bits for each number. A method is one file, and one entry in METHODS."""

from typing import Final

from compressionjob.methods.parameters import Parameters
from compressionjob.methods.quantize.cast import Cast
from compressionjob.methods.quantize.dynamic import Dynamic
from compressionjob.methods.quantize.engine import LlmCompressor, ModelOpt
from compressionjob.methods.quantize.qat import Qat
from compressionjob.methods.quantize.static import Static
from compressionjob.methods.quantize.vllm import Vllm
from compressionjob.methods.quantize.vllm_int8 import VllmInt8
from compressionjob.methods.quantize.weight_only import WeightOnly

METHODS: Final[tuple[type[Parameters], ...]] = (
    Dynamic, Static, WeightOnly, Cast, Qat, Vllm, VllmInt8, LlmCompressor, ModelOpt,
)  # fmt: skip
"""The first is the default."""

__all__ = ["METHODS", "Cast", "Dynamic", "LlmCompressor", "ModelOpt", "Qat", "Static", "Vllm", "VllmInt8", "WeightOnly"]
