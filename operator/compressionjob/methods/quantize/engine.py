"""Quantizers of language models for vLLM. They need an image of their own and write a Transformers folder.

llm-compressor: https://github.com/vllm-project/llm-compressor. ModelOpt: https://github.com/NVIDIA/Model-Optimizer.
"""

from typing import ClassVar, Final, Literal

from pydantic import Field

from compressionjob.methods.parameters import ALWAYS
from compressionjob.methods.predicate import Predicate
from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import BACKEND_TEXT, DTYPE_TEXT, GRANULARITY_TEXT, METHOD_TEXT, Quantizer
from compressionjob.methods.quantize.weight_only import (
    ALGORITHM,
    CALIBRATED,
    DROPS,
    GROUP_SIZE,
    Algorithm,
    GroupSize,
    default_group_size,
)

_NEEDS_IMAGE: Final = "writes a Transformers folder for vLLM and needs a runtime whose image contains it."


class LlmCompressor(Quantizer):
    """llm-compressor: few bits for linear layers; embeddings and the output layer stay as they are.

    There are no zero points, since packed zero points of compressed-tensors 0.19 do not load into transformers 5.23.
    """

    variant: ClassVar[str] = "engine"
    observes: ClassVar[Predicate] = CALIBRATED

    method: Literal["weight-only"] = Field(default="weight-only", description=METHOD_TEXT)
    backend: Literal["llm-compressor"] = Field(
        description=f"{BACKEND_TEXT} llm-compressor, for language models, {_NEEDS_IMAGE}"
    )
    dtype: Literal["int8", "int4"] = Field(default="int8", description=DTYPE_TEXT)
    algorithm: Algorithm | None = Field(default=None, description=ALGORITHM)
    group_size: GroupSize | None = Field(default=None, description=GROUP_SIZE)

    def promise(self) -> Promise:
        """Return the drop. The size depends on the share of linear layers in the model, so it is not promised."""
        return Promise(max_size_ratio=None, max_quality_drop=DROPS.get(self.dtype))

    @property
    def effective_algorithm(self) -> Algorithm:
        """Rounding algorithm; rtn by default."""
        return self.algorithm or "rtn"

    @property
    def effective_group_size(self) -> int:
        """Number of inputs that share a scale."""
        return self.group_size or default_group_size(self.dtype)


class ModelOpt(Quantizer):
    """ModelOpt: FP8 for weights and inputs of linear layers, for GPUs with FP8 arithmetic."""

    variant: ClassVar[str] = "engine"
    observes: ClassVar[Predicate] = ALWAYS

    method: Literal["static"] = Field(default="static", description=METHOD_TEXT)
    backend: Literal["modelopt"] = Field(description=f"{BACKEND_TEXT} modelopt, for language models, {_NEEDS_IMAGE}")
    dtype: Literal["float8"] = Field(description=DTYPE_TEXT)
    granularity: Literal["tensor"] = Field(description=GRANULARITY_TEXT)

    def promise(self) -> Promise:
        """Return the drop. Embeddings stay as they are and are much of a small model, so size is not promised."""
        return Promise(max_size_ratio=None, min_speedup=None, max_quality_drop=0.05)


FOR_VLLM: Final = ("vllm", "llm-compressor", "modelopt")
"""Backends that quantize language models into a Transformers folder for vLLM."""
