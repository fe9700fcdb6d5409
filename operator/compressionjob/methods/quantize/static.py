"""Static quantization: activation ranges are measured on calibration data (Jacob et al. 2017, arXiv:1712.05877)."""

from typing import ClassVar, Literal

from pydantic import Field

from compressionjob.field_types import Drop, Fraction, Schema
from compressionjob.methods.parameters import ALWAYS
from compressionjob.methods.predicate import AllOf, Not, OneOf, Predicate, Rule
from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import (
    BACKEND_TEXT,
    DTYPE_TEXT,
    GRANULARITY_TEXT,
    METHOD_TEXT,
    SMOOTHING_TEXT,
    Quantizer,
)

Calibration = Literal["minmax", "entropy", "percentile"]
_OPENVINO = OneOf("backend", ("openvino",))


class AccuracyControl(Schema):
    """Convert the layers that lose most back to floats, until the loss on the calibration data is allowed."""

    max_drop: Drop = Field(
        description="Largest loss on calibration data against the float model, in agreement for classifiers and in "
        'cosine for others: "0.005".'
    )


class Static(Quantizer):
    """Integer or FP8 weights and activations, with ranges measured on calibration data."""

    variant: ClassVar[str] = "static"
    summary: ClassVar[str] = "integer weights and activations, with ranges measured on calibration data"
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            Not(AllOf(_OPENVINO, OneOf("calibration", ("entropy",)))),
            "calibration entropy belongs to backend onnxruntime; use minmax or percentile",
        ),
        Rule(
            Not(AllOf(_OPENVINO, OneOf("dtype", ("float8",)))),
            "dtype float8 belongs to backends onnxruntime and modelopt; use int8",
        ),
    )
    observes: ClassVar[Predicate] = ALWAYS

    method: Literal["static"] = Field(default="static", description=METHOD_TEXT)
    dtype: Literal["int8", "float8"] = Field(
        default="int8", description=f"{DTYPE_TEXT} float8 is E4M3FN, for hardware with FP8 arithmetic."
    )
    granularity: Literal["channel", "tensor"] = Field(default="channel", description=GRANULARITY_TEXT)
    calibration: Calibration | None = Field(
        default=None,
        description="Range of an activation that is quantized: all observed values (minmax, the default), the range of "
        "least divergence (entropy), or all but one value in ten thousand (percentile).",
    )
    accuracy_control: AccuracyControl | None = Field(
        default=None, description="Convert layers back to floats until the loss is small enough."
    )
    smooth_quant: Fraction | None = Field(
        default=None,
        description=f"{SMOOTHING_TEXT} By default none, and nncf's own choice for openvino.",
    )
    backend: Literal["onnxruntime", "openvino"] | None = Field(
        default=None, description=f"{BACKEND_TEXT} openvino quantizes with nncf and writes an OpenVINO model."
    )

    def promise(self) -> Promise:
        """Return that the model has under half the size; INT8 is not slower and loses at most two points of quality."""
        if self.dtype == "float8":
            # Without FP8 hardware, numbers are converted to floats before they are multiplied.
            return Promise(max_size_ratio=0.5, min_speedup=None, max_quality_drop=0.05)
        return Promise(max_size_ratio=0.5, min_speedup=1.0, max_quality_drop=0.02)

    @property
    def effective_calibration(self) -> Calibration:
        """Calibration of activation ranges; minmax by default."""
        return self.calibration or "minmax"
