"""Quantization-aware training (LSQ, arXiv:1902.08153; TWN, arXiv:1605.04711)."""

from typing import ClassVar, Literal

from pydantic import Field

from compressionjob.methods.parameters import ALWAYS
from compressionjob.methods.predicate import Predicate
from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import DTYPE_TEXT, METHOD_TEXT, Quantizer
from compressionjob.methods.training import Training


class Qat(Quantizer):
    """Weights of few bits, quantized during training."""

    variant: ClassVar[str] = "qat"
    summary: ClassVar[str] = "quantization-aware training, weights are quantized during training"
    trains: ClassVar[Predicate] = ALWAYS

    method: Literal["qat"] = Field(default="qat", description=METHOD_TEXT)
    dtype: Literal["int8", "int4", "int2", "ternary", "binary"] = Field(default="int8", description=DTYPE_TEXT)
    training: Training | None = Field(default=None, description="Training of the weights.")

    def promise(self) -> Promise:
        """Return the size. Weights are dequantized while the model runs, so speed is not promised."""
        return Promise(max_size_ratio=0.6, min_speedup=None, max_quality_drop=None)
