"""Dynamic quantization: onnxruntime's scheme, https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html."""

from typing import ClassVar, Literal

from pydantic import Field

from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import BACKEND_TEXT, DTYPE_TEXT, GRANULARITY_TEXT, METHOD_TEXT, Quantizer


class Dynamic(Quantizer):
    """Integer weights; activations are quantized while the model runs."""

    variant: ClassVar[str] = "dynamic"
    summary: ClassVar[str] = "integer weights, activations quantized while the model runs, no calibration data"

    method: Literal["dynamic"] = Field(default="dynamic", description=METHOD_TEXT)
    dtype: Literal["int8"] = Field(default="int8", description=DTYPE_TEXT)
    granularity: Literal["channel", "tensor"] = Field(default="channel", description=GRANULARITY_TEXT)
    backend: Literal["onnxruntime"] | None = Field(default=None, description=BACKEND_TEXT)

    def promise(self) -> Promise:
        """Return that the model has under half the size, is not slower, and loses at most two points of quality."""
        return Promise(max_size_ratio=0.5, min_speedup=1.0, max_quality_drop=0.02)
