"""Quantization: fewer bits for each number (Jacob et al. 2017, arXiv:1712.05877; onnxruntime's dynamic scheme)."""

from typing import Final, Literal

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from compressionjob.data import DataRole
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.promise import Promise
from compressionjob.methods.training import Training
from compressionjob.schema import cel, with_rules

DTYPES: Final[dict[str, tuple[str, ...]]] = {
    "dynamic": ("int8",),
    "cast": ("float16",),
    "qat": ("int8", "int4", "int2", "ternary", "binary"),
}
"""The types that each method can give to weights."""
OWN_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "training": ("qat",),
}
"""Fields that only some methods have, by their names in Python."""

_DTYPE_TEXT: Final = "; ".join(f"method {method} takes dtype {' or '.join(types)}" for method, types in DTYPES.items())
_DTYPE_RULE: Final = " || ".join(
    f"(self.method == '{method}' && self.dtype in [{', '.join(repr(name) for name in types)}])"
    for method, types in DTYPES.items()
)
_GRANULARITY_RULE: Final = "self.method == 'dynamic' || self.granularity == 'channel'"
_GRANULARITY_TEXT: Final = "granularity tensor belongs to method dynamic; remove it"


def _own_text(field: str) -> str:
    return f"{to_camel(field)} belongs to method {' or '.join(OWN_FIELDS[field])}; remove it"


def _own_rule(field: str) -> str:
    return f"!has(self.{to_camel(field)}) || self.method in [{', '.join(repr(name) for name in OWN_FIELDS[field])}]"


class Quantize(Parameters):
    """Store, and where the method allows compute, with fewer bits."""

    model_config = with_rules(
        cel(_DTYPE_RULE, _DTYPE_TEXT),
        cel(_GRANULARITY_RULE, _GRANULARITY_TEXT),
        *(cel(_own_rule(field), _own_text(field)) for field in OWN_FIELDS),
    )

    method: Literal["dynamic", "cast", "qat"] = Field(
        default="dynamic",
        description="dynamic: integer weights, activations quantized while the model runs, no calibration data. "
        "cast: weights and activations in a shorter floating-point type. qat: quantization-aware training, the weights "
        "learn to live with few bits.",
    )
    dtype: Literal["int8", "int4", "int2", "ternary", "binary", "float16"] = Field(
        default="int8", description="The type that weights get."
    )
    granularity: Literal["channel", "tensor"] = Field(
        default="channel", description="One scale for each output channel (exact), or one for each tensor (simple)."
    )
    training: Training | None = Field(default=None, description="For qat: how the weights are trained.")

    @model_validator(mode="after")
    def _fields_fit_method(self) -> "Quantize":
        if self.dtype not in DTYPES[self.method]:
            raise ValueError(_DTYPE_TEXT)
        if self.method != "dynamic" and self.granularity != "channel":
            raise ValueError(_GRANULARITY_TEXT)
        for field, methods in OWN_FIELDS.items():
            if getattr(self, field) is not None and self.method not in methods:
                raise ValueError(_own_text(field))
        return self

    def promise(self) -> Promise:
        """INT8 is promised to be under half the size, not slower, and to keep quality within two points."""
        if self.method == "dynamic":
            return Promise(max_size_ratio=0.5, min_speedup=1.0, max_quality_drop=0.02)
        if self.method == "qat":
            # Weights are turned back to floats while the model runs: smaller, not faster.
            return Promise(max_size_ratio=0.6, min_speedup=None, max_quality_drop=None)
        # CPUs without FP16 arithmetic convert back and forth: no promise of speed.
        return Promise(max_size_ratio=0.6, min_speedup=None, max_quality_drop=0.005)

    def needs(self) -> frozenset[DataRole]:
        """What the method learns from, or observes activations on."""
        return frozenset({"training"}) if self.method == "qat" else frozenset()
