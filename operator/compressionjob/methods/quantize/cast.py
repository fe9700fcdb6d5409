"""Weights and activations in a shorter floating-point type."""

from typing import ClassVar, Literal

from pydantic import Field

from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import DTYPE_TEXT, METHOD_TEXT, Quantizer


class Cast(Quantizer):
    """Float16 or bfloat16 instead of float32."""

    variant: ClassVar[str] = "cast"
    summary: ClassVar[str] = "weights and activations in a shorter floating-point type"

    method: Literal["cast"] = Field(default="cast", description=METHOD_TEXT)
    dtype: Literal["float16", "bfloat16"] = Field(
        description=f"{DTYPE_TEXT} bfloat16 keeps a Transformers folder. For an ONNX graph it is a storage type only, "
        "since CPUs compute in float32."
    )

    def promise(self) -> Promise:
        """Return size and drop. CPUs without FP16 arithmetic convert back and forth, so speed is not promised."""
        return Promise(max_size_ratio=0.6, min_speedup=None, max_quality_drop=0.005)
