"""Quantization: fewer bits for each number (Jacob et al. 2017, arXiv:1712.05877; onnxruntime's dynamic scheme)."""

from typing import Literal

from pydantic import Field, model_validator

from compressionjob.methods.parameters import Parameters
from compressionjob.methods.promise import Promise
from compressionjob.schema import cel, with_rules

_DTYPE_RULE = "(self.method == 'dynamic') == (self.dtype == 'int8')"
_DTYPE_TEXT = "method dynamic takes dtype int8, method cast takes dtype float16"
_GRANULARITY_RULE = "self.method == 'dynamic' || self.granularity == 'channel'"
_GRANULARITY_TEXT = "granularity tensor belongs to method dynamic; remove it"


class Quantize(Parameters):
    """Store, and where the method allows compute, with fewer bits."""

    model_config = with_rules(cel(_DTYPE_RULE, _DTYPE_TEXT), cel(_GRANULARITY_RULE, _GRANULARITY_TEXT))

    method: Literal["dynamic", "cast"] = Field(
        default="dynamic",
        description="dynamic: integer weights, activations quantized while the model runs, no calibration data. "
        "cast: weights and activations in a shorter floating-point type.",
    )
    dtype: Literal["int8", "float16"] = Field(default="int8", description="The type that weights get.")
    granularity: Literal["channel", "tensor"] = Field(
        default="channel", description="One scale for each output channel (exact), or one for each tensor (simple)."
    )

    @model_validator(mode="after")
    def _dtype_fits_method(self) -> "Quantize":
        if (self.method == "dynamic") != (self.dtype == "int8"):
            raise ValueError(_DTYPE_TEXT)
        if self.method == "cast" and self.granularity != "channel":
            raise ValueError(_GRANULARITY_TEXT)
        return self

    def promise(self) -> Promise:
        """INT8 is promised to be under half the size, not slower, and to keep quality within two points."""
        if self.method == "dynamic":
            return Promise(max_size_ratio=0.5, min_speedup=1.0, max_quality_drop=0.02)
        # CPUs without FP16 arithmetic convert back and forth: no promise of speed.
        return Promise(max_size_ratio=0.6, min_speedup=None, max_quality_drop=0.005)
