"""Quantization-aware training: weights learn to live with few bits (LSQ, arXiv:1902.08153; TWN, arXiv:1605.04711)."""

from typing import ClassVar, Literal

from pydantic import Field

from compressionjob.methods.parameters import ALWAYS
from compressionjob.methods.predicate import Predicate
from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import DTYPE, METHOD, Quantizer
from compressionjob.methods.training import Training


class Qat(Quantizer):
    """Weights of few bits that were trained to be so."""

    variant: ClassVar[str] = "qat"
    summary: ClassVar[str] = "quantization-aware training, the weights learn to live with few bits"
    trains: ClassVar[Predicate] = ALWAYS

    method: Literal["qat"] = Field(default="qat", description=METHOD)
    dtype: Literal["int8", "int4", "int2", "ternary", "binary"] = Field(default="int8", description=DTYPE)
    training: Training | None = Field(default=None, description="How the weights are trained.")

    def promise(self) -> Promise:
        """Return the size; weights are turned back to floats while the model runs, so there is no promise of speed."""
        return Promise(max_size_ratio=0.6, min_speedup=None, max_quality_drop=None)
