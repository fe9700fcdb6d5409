"""Static quantization: ranges of activations are found on calibration data (Jacob et al. 2017, arXiv:1712.05877)."""

from typing import ClassVar, Literal

from pydantic import Field

from compressionjob.methods.parameters import ALWAYS
from compressionjob.methods.predicate import AllOf, Not, OneOf, Predicate, Rule
from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import BACKEND, DTYPE, GRANULARITY, METHOD, Quantizer
from compressionjob.schema import Drop, Fraction, Schema

Calibration = Literal["minmax", "entropy", "percentile"]
_OPENVINO = OneOf("backend", ("openvino",))


class AccuracyControl(Schema):
    """Gives back to floats the layers that hurt most, by what is measured on the calibration data."""

    max_drop: Drop = Field(
        description="The loss on calibration data that is allowed: of agreement with the float model for classifiers, "
        'of cosine for others: "0.005".'
    )


class Static(Quantizer):
    """Integer or FP8 weights and activations, whose ranges are found on calibration data."""

    variant: ClassVar[str] = "static"
    summary: ClassVar[str] = "integer weights and activations, whose ranges are found on calibration data"
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

    method: Literal["static"] = Field(default="static", description=METHOD)
    dtype: Literal["int8", "float8"] = Field(
        default="int8", description=f"{DTYPE} float8 is E4M3FN, for hardware that multiplies it."
    )
    granularity: Literal["channel", "tensor"] = Field(default="channel", description=GRANULARITY)
    calibration: Calibration | None = Field(
        default=None,
        description="Which range of an activation gets codes: all that was seen (minmax, the default), that of least "
        "divergence (entropy), or all but one value in ten thousand (percentile).",
    )
    accuracy_control: AccuracyControl | None = Field(
        default=None, description="Which loss is allowed before layers go back to floats."
    )
    smooth_quant: Fraction | None = Field(
        default=None,
        description="How much of what makes activations hard to quantize goes into the weights, above 0 "
        'and below 1: "0.5" (SmoothQuant, arXiv:2211.10438). By default none, and nncf\'s own choice for openvino.',
    )
    backend: Literal["onnxruntime", "openvino"] | None = Field(
        default=None, description=f"{BACKEND} openvino gives an OpenVINO model by nncf."
    )

    def promise(self) -> Promise:
        """Return that the result is under half the size; INT8 is not slower, and keeps quality within two points."""
        if self.dtype == "float8":
            # Without hardware for it, numbers are made floats again before they are multiplied.
            return Promise(max_size_ratio=0.5, min_speedup=None, max_quality_drop=0.05)
        return Promise(max_size_ratio=0.5, min_speedup=1.0, max_quality_drop=0.02)

    @property
    def effective_calibration(self) -> Calibration:
        """How ranges of activations are found."""
        return self.calibration or "minmax"
