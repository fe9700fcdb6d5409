"""INT8 weights and activations (W8A8) for vLLM, written as a checkpoint in its format.

Format: compressed-tensors, int-quantized, https://github.com/vllm-project/compressed-tensors.
"""

from typing import ClassVar, Literal

from pydantic import Field

from compressionjob.field_types import Fraction
from compressionjob.methods.predicate import IsSet, Predicate
from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import BACKEND_TEXT, DTYPE_TEXT, METHOD_TEXT, SMOOTHING_TEXT, Quantizer


class VllmInt8(Quantizer):
    """INT8 products in the linear layers of language models; embeddings and the output layer stay as they are.

    Weights have one scale for each output channel. The scale of activations is that of each token, found while the
    model runs.
    """

    variant: ClassVar[str] = "vllm-int8"
    observes: ClassVar[Predicate] = IsSet("smoothQuant")

    method: Literal["dynamic"] = Field(default="dynamic", description=METHOD_TEXT)
    backend: Literal["vllm"] = Field(
        description=f"{BACKEND_TEXT} vllm, for language models, writes a Transformers folder in the format "
        "compressed-tensors, which vLLM and transformers load."
    )
    dtype: Literal["int8"] = Field(default="int8", description=DTYPE_TEXT)
    smooth_quant: Fraction | None = Field(default=None, description=SMOOTHING_TEXT)

    def promise(self) -> Promise:
        """Return the drop. The size depends on the share of linear layers, and the speed on the processor."""
        return Promise(max_size_ratio=None, max_quality_drop=0.05)
