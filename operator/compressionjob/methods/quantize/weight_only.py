"""Weights of few bits in groups: GPTQ (arXiv:2210.17323), AWQ (arXiv:2306.00978), or rounding to the nearest."""

from typing import ClassVar, Final, Literal

from pydantic import Field

from compressionjob.field_types import Fraction
from compressionjob.methods.predicate import AllOf, AnyOf, IsSet, Not, OneOf, Predicate, Rule
from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import BACKEND_TEXT, DTYPE_TEXT, METHOD_TEXT, Quantizer

Algorithm = Literal["rtn", "gptq", "awq"]
GroupSize = Literal[16, 32, 64, 128, 256]
"""Number of inputs in a group. onnxruntime has kernels for powers of two from 16."""
ALGORITHM: Final = (
    "rtn rounds to the nearest (the default); gptq rounds one input after another and corrects the error in the "
    "others; awq scales the most active channels up before rounding. gptq and awq need calibration data."
)
GROUP_SIZE: Final = "Number of inputs that share a scale and a zero point (default 32 for int8 and mixed, else 128)."
RATIOS: Final = {"int8": 0.4, "int4": 0.3, "int3": 0.3, "int2": 0.2}
"""Size relative to float32, including scales and zero points of small groups, and norms that stay floats."""
DROPS: Final = {"int8": 0.01, "int4": 0.1}
CALIBRATED: Final = OneOf("algorithm", ("gptq", "awq"))
_MIXED: Final = OneOf("dtype", ("mixed",))
_BUDGET: Final = IsSet("budget")


def default_group_size(dtype: str) -> int:
    """Return the default number of inputs that share a scale.

    onnxruntime rounds activations to eight bits in the same groups. In large groups that error is greater than the
    error of eight-bit weights.
    """
    return 32 if dtype in ("int8", "mixed") else 128


class WeightOnly(Quantizer):
    """Few bits for weights, in groups; activations stay as they are."""

    variant: ClassVar[str] = "weight-only"
    summary: ClassVar[str] = "few bits for weights, in groups; activations stay as they are"
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            AnyOf(AllOf(_MIXED, _BUDGET), AllOf(Not(_MIXED), Not(_BUDGET))),
            "dtype mixed needs a budget, and budget belongs to dtype mixed",
        ),
    )
    observes: ClassVar[Predicate] = AnyOf(CALIBRATED, _MIXED)

    method: Literal["weight-only"] = Field(default="weight-only", description=METHOD_TEXT)
    dtype: Literal["int8", "int4", "int3", "int2", "mixed"] = Field(
        default="int8",
        description=f"{DTYPE_TEXT} mixed gives each layer 8, 4 or 2 bits, by how much the outputs depend on it, within "
        "budget.",
    )
    backend: Literal["onnxruntime"] | None = Field(default=None, description=BACKEND_TEXT)
    algorithm: Algorithm | None = Field(default=None, description=ALGORITHM)
    group_size: GroupSize | None = Field(default=None, description=GROUP_SIZE)
    symmetric: bool | None = Field(
        default=None, description="Use no zero points, so all grids are centred on zero (default false)."
    )
    embeddings: bool | None = Field(
        default=None, description="Quantize embedding tables and the output layer too (default true)."
    )
    budget: Fraction | None = Field(
        default=None,
        description='Size after the stage divided by the size before, with dtype mixed: "0.15".',
    )

    def promise(self) -> Promise:
        """Return the size and the drop for the number of bits."""
        # Without embeddings the share of quantized weights depends on the model.
        ratio = RATIOS.get(self.dtype) if self.effective_embeddings else None
        if self.budget is not None:
            # The margin is for the nodes of the graph, which a checkpoint does not have.
            ratio = self.budget + 0.01
        return Promise(max_size_ratio=ratio, max_quality_drop=DROPS.get(self.dtype))

    @property
    def effective_algorithm(self) -> Algorithm:
        """Rounding algorithm; rtn by default."""
        return self.algorithm or "rtn"

    @property
    def effective_group_size(self) -> int:
        """Number of inputs that share a scale."""
        return self.group_size or default_group_size(self.dtype)

    @property
    def effective_symmetric(self) -> bool:
        """Whether there are no zero points."""
        return bool(self.symmetric)

    @property
    def effective_embeddings(self) -> bool:
        """Whether embedding tables and the output layer are quantized too."""
        return self.embeddings is not False
