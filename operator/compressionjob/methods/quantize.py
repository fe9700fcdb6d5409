"""Quantization: fewer bits for each number (Jacob et al. 2017, arXiv:1712.05877; onnxruntime's dynamic scheme)."""

from typing import Final, Literal

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from compressionjob.data import DataRole
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.promise import Promise
from compressionjob.methods.training import Training
from compressionjob.schema import Drop, Fraction, Schema, cel, with_rules

DTYPES: Final[dict[str, tuple[str, ...]]] = {
    "dynamic": ("int8",),
    "static": ("int8", "float8"),
    "weight-only": ("int8", "int4", "int3", "int2", "mixed"),
    "cast": ("float16", "bfloat16"),
    "qat": ("int8", "int4", "int2", "ternary", "binary"),
}
"""The types that each method can give to weights."""
OWN_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "calibration": ("static",),
    "accuracy_control": ("static",),
    "backend": ("static", "weight-only"),
    "smooth_quant": ("static",),
    "training": ("qat",),
    "algorithm": ("weight-only",),
    "group_size": ("weight-only",),
    "symmetric": ("weight-only",),
    "embeddings": ("weight-only",),
    "budget": ("weight-only",),
}
"""Fields that only some methods have, by their names in Python."""

_DTYPE_TEXT: Final = "; ".join(f"method {method} takes dtype {' or '.join(types)}" for method, types in DTYPES.items())
_DTYPE_RULE: Final = " || ".join(
    f"(self.method == '{method}' && self.dtype in [{', '.join(repr(name) for name in types)}])"
    for method, types in DTYPES.items()
)
_GRANULARITY_RULE: Final = "self.method in ['dynamic', 'static'] || self.granularity == 'channel'"
_GRANULARITY_TEXT: Final = "granularity tensor belongs to methods dynamic and static; remove it"
Calibration = Literal["minmax", "entropy", "percentile"]
Backend = Literal["onnxruntime", "openvino", "llm-compressor", "modelopt"]
ENGINES: Final = ("llm-compressor", "modelopt")
"""Backends that need an image of their own, and give a Transformers folder of a language model for vLLM."""
_FLOAT8_TEXT: Final = "dtype float8 belongs to backends onnxruntime and modelopt; use int8"
_FLOAT8_RULE: Final = "!has(self.backend) || self.backend != 'openvino' || self.dtype != 'float8'"
_BACKEND_TEXT: Final = (
    "backend openvino belongs to method static; llm-compressor to method weight-only with dtype int8 or int4, without "
    "embeddings, which it leaves as they are, and without symmetric, which its grids are; modelopt to method static "
    "with dtype float8 and granularity tensor, without calibration, accuracyControl and smoothQuant"
)
_BACKEND_RULE: Final = (
    "!has(self.backend) || self.backend == 'onnxruntime' || (self.backend == 'openvino' && self.method == 'static') || "
    "(self.backend == 'llm-compressor' && self.method == 'weight-only' && self.dtype in ['int8', 'int4'] "
    "&& !has(self.embeddings) && !has(self.symmetric)) || "
    "(self.backend == 'modelopt' && self.method == 'static' && self.dtype == 'float8' && self.granularity == 'tensor' "
    "&& !has(self.calibration) && !has(self.accuracyControl) && !has(self.smoothQuant))"
)
_ENTROPY_TEXT: Final = "calibration entropy belongs to backend onnxruntime; use minmax or percentile"
_ENTROPY_RULE: Final = (
    "!has(self.backend) || self.backend != 'openvino' || !has(self.calibration) || self.calibration != 'entropy'"
)
_BUDGET_TEXT: Final = "dtype mixed needs a budget, and budget belongs to dtype mixed"
_BUDGET_RULE: Final = "(self.dtype == 'mixed') == has(self.budget)"
Algorithm = Literal["rtn", "gptq", "awq"]
GroupSize = Literal[16, 32, 64, 128, 256]
"""Inputs in a group; onnxruntime has kernels for powers of two from 16."""
WEIGHT_ONLY_RATIOS: Final = {"int8": 0.4, "int4": 0.3, "int3": 0.3, "int2": 0.2}
"""Size against float32, with scales and zero points of small groups, and norms that stay floats."""
WEIGHT_ONLY_DROPS: Final = {"int8": 0.01, "int4": 0.1}


def _own_text(field: str) -> str:
    return f"{to_camel(field)} belongs to method {' or '.join(OWN_FIELDS[field])}; remove it"


def _own_rule(field: str) -> str:
    return f"!has(self.{to_camel(field)}) || self.method in [{', '.join(repr(name) for name in OWN_FIELDS[field])}]"


class AccuracyControl(Schema):
    """Gives back to floats the layers that hurt most, by what is measured on the calibration data."""

    max_drop: Drop = Field(
        description="The loss on calibration data that is allowed: of agreement with the float model for classifiers, "
        'of cosine for others: "0.005".'
    )


class Quantize(Parameters):
    """Store, and where the method allows compute, with fewer bits."""

    model_config = with_rules(
        cel(_DTYPE_RULE, _DTYPE_TEXT),
        cel(_GRANULARITY_RULE, _GRANULARITY_TEXT),
        cel(_ENTROPY_RULE, _ENTROPY_TEXT),
        cel(_FLOAT8_RULE, _FLOAT8_TEXT),
        cel(_BUDGET_RULE, _BUDGET_TEXT),
        cel(_BACKEND_RULE, _BACKEND_TEXT),
        *(cel(_own_rule(field), _own_text(field)) for field in OWN_FIELDS),
    )

    method: Literal["dynamic", "static", "weight-only", "cast", "qat"] = Field(
        default="dynamic",
        description="dynamic: integer weights, activations quantized while the model runs, no calibration data. "
        "static: integer weights and activations, whose ranges are found on calibration data. "
        "weight-only: few bits for weights, by groups; activations stay as they are. "
        "cast: weights and activations in a shorter floating-point type. qat: quantization-aware training, the weights "
        "learn to live with few bits.",
    )
    dtype: Literal["int8", "int4", "int3", "int2", "mixed", "ternary", "binary", "float16", "bfloat16", "float8"] = (
        Field(
            default="int8",
            description="The type that weights get. mixed gives each layer 8, 4 or 2 bits, by how much the answers "
            "depend on it, within budget. float8 is E4M3FN, for hardware that multiplies it; bfloat16 keeps a "
            "Transformers directory one, and is a type to store an ONNX graph in, since CPUs compute it as float32.",
        )
    )
    granularity: Literal["channel", "tensor"] = Field(
        default="channel", description="One scale for each output channel (exact), or one for each tensor (simple)."
    )
    calibration: Calibration | None = Field(
        default=None,
        description="For static: which range of an activation gets codes: all that was seen (minmax, the default), "
        "that of least divergence (entropy), or all but one value in ten thousand (percentile).",
    )
    accuracy_control: AccuracyControl | None = Field(
        default=None, description="For static: which loss is allowed before layers go back to floats."
    )
    smooth_quant: Fraction | None = Field(
        default=None,
        description="For static: how much of what makes activations hard to quantize goes into the weights, above 0 "
        'and below 1: "0.5" (SmoothQuant, arXiv:2211.10438). By default none, and nncf\'s own choice for openvino.',
    )
    backend: Backend | None = Field(
        default=None,
        description="What quantizes, and will run the result: onnxruntime (the default); for static openvino, which "
        "gives an OpenVINO model by nncf; for weight-only of language models llm-compressor, and for static "
        "float8 of them modelopt, which give a Transformers folder for vLLM, and need a runtime whose image has them.",
    )
    algorithm: Algorithm | None = Field(
        default=None,
        description="For weight-only: rtn rounds to the nearest (the default); gptq rounds one input after another and "
        "lets the others take over the error; awq scales the most active channels up before rounding. gptq and awq "
        "look at calibration data.",
    )
    group_size: GroupSize | None = Field(
        default=None,
        description="For weight-only: inputs that share a scale and a zero point (default 32 for int8 and mixed, "
        "else 128).",
    )
    symmetric: bool | None = Field(
        default=None, description="For weight-only: no zero points, all grids are centred on zero (default false)."
    )
    embeddings: bool | None = Field(
        default=None,
        description="For weight-only: tables of embeddings and the layer that gives the output too (default true).",
    )
    budget: Fraction | None = Field(
        default=None,
        description='For dtype mixed: the size of the result as a share of the model\'s before this stage: "0.15".',
    )
    training: Training | None = Field(default=None, description="For qat: how the weights are trained.")

    @model_validator(mode="after")
    def _fields_fit_method(self) -> "Quantize":
        if self.dtype not in DTYPES[self.method]:
            raise ValueError(_DTYPE_TEXT)
        if self.method not in ("dynamic", "static") and self.granularity != "channel":
            raise ValueError(_GRANULARITY_TEXT)
        for field, methods in OWN_FIELDS.items():
            if getattr(self, field) is not None and self.method not in methods:
                raise ValueError(_own_text(field))
        if (self.dtype == "mixed") != (self.budget is not None):
            raise ValueError(_BUDGET_TEXT)
        if not self._backend_fits():
            raise ValueError(_BACKEND_TEXT)
        if self.backend == "openvino" and self.calibration == "entropy":
            raise ValueError(_ENTROPY_TEXT)
        if self.backend == "openvino" and self.dtype == "float8":
            raise ValueError(_FLOAT8_TEXT)
        return self

    def _backend_fits(self) -> bool:
        if self.backend == "openvino":
            return self.method == "static"
        if self.backend == "llm-compressor":
            # Packed zero points of compressed-tensors 0.19 do not load into transformers 5.23: they come out as others.
            free = self.embeddings is None and self.symmetric is None
            return self.method == "weight-only" and self.dtype in ("int8", "int4") and free
        if self.backend == "modelopt":
            free = self.calibration is None and self.accuracy_control is None and self.smooth_quant is None
            return self.method == "static" and self.dtype == "float8" and self.granularity == "tensor" and free
        return True

    def promise(self) -> Promise:
        """INT8 is promised to be under half the size, not slower, and to keep quality within two points."""
        if self.dtype == "float8":
            # Without hardware for it, numbers are made floats again before they are multiplied.
            # modelopt leaves embeddings, which are much of a small language model.
            ratio = 0.5 if self.backend != "modelopt" else None
            return Promise(max_size_ratio=ratio, min_speedup=None, max_quality_drop=0.05)
        if self.method in ("dynamic", "static"):
            return Promise(max_size_ratio=0.5, min_speedup=1.0, max_quality_drop=0.02)
        if self.method == "weight-only":
            # Without embeddings the share of the weights that get few bits depends on the model.
            ratio = WEIGHT_ONLY_RATIOS.get(self.dtype) if self.effective_embeddings else None
            if self.budget is not None:
                # Of the graph, whose nodes a checkpoint does not have.
                ratio = self.budget + 0.01
            return Promise(max_size_ratio=ratio, max_quality_drop=WEIGHT_ONLY_DROPS.get(self.dtype))
        if self.method == "qat":
            # Weights are turned back to floats while the model runs: smaller, not faster.
            return Promise(max_size_ratio=0.6, min_speedup=None, max_quality_drop=None)
        # CPUs without FP16 arithmetic convert back and forth: no promise of speed.
        return Promise(max_size_ratio=0.6, min_speedup=None, max_quality_drop=0.005)

    def excludes_program(self) -> bool:
        """A graph, or a folder of numbers that an export would make float32 again."""
        return True

    def needs(self) -> frozenset[DataRole]:
        """What the method learns from, or observes activations on."""
        if self.method == "static" or self.algorithm in ("gptq", "awq") or self.dtype == "mixed":
            return frozenset({"calibration"})
        return frozenset({"training"}) if self.method == "qat" else frozenset()

    @property
    def effective_calibration(self) -> Calibration:
        """How ranges of activations are found."""
        return self.calibration or "minmax"

    @property
    def effective_algorithm(self) -> Algorithm:
        """How weights are rounded."""
        return self.algorithm or "rtn"

    @property
    def effective_group_size(self) -> int:
        """Inputs that share a scale.

        The runtime rounds activations to eight bits by the same groups: with large ones that error is greater than that
        of eight-bit weights.
        """
        return self.group_size or (32 if self.dtype in ("int8", "mixed") else 128)

    @property
    def effective_symmetric(self) -> bool:
        """Whether grids have no zero points."""
        return bool(self.symmetric) or self.backend == "llm-compressor"

    @property
    def effective_embeddings(self) -> bool:
        """Whether tables and the output layer are quantized too."""
        return self.embeddings is not False and self.backend != "llm-compressor"
