"""Weights of few bits for vLLM: the algorithms of weight_only.py, written as a checkpoint in its format.

Format: compressed-tensors, pack-quantized, https://github.com/vllm-project/compressed-tensors.
"""

from typing import ClassVar, Final, Literal

from pydantic import Field

from compressionjob.methods.predicate import Predicate
from compressionjob.methods.promise import Promise
from compressionjob.methods.quantize.quantizer import BACKEND_TEXT, DTYPE_TEXT, METHOD_TEXT, Quantizer
from compressionjob.methods.quantize.weight_only import ALGORITHM, CALIBRATED, DROPS, GROUP_SIZE, Algorithm

PER_CHANNEL: Final = -1
"""Value of `group_size` for one scale for each output channel, as vLLM and GPTQ's tools write it."""
VllmGroupSize = Literal[-1, 32, 64, 128]
"""Group sizes of vLLM's kernels for NVIDIA GPUs (Marlin); those for CPUs take them too."""
DEFAULT_GROUP_SIZE: Final = 128


class Vllm(Quantizer):
    """Few bits for linear layers of language models; embeddings and the output layer stay as they are.

    There are no zero points, since packed zero points of compressed-tensors 0.19 do not load into transformers 5.23.
    """

    variant: ClassVar[str] = "vllm"
    observes: ClassVar[Predicate] = CALIBRATED

    method: Literal["weight-only"] = Field(default="weight-only", description=METHOD_TEXT)
    backend: Literal["vllm"] = Field(
        description=f"{BACKEND_TEXT} vllm, for language models, writes a Transformers folder in the format "
        "compressed-tensors, which vLLM and transformers load."
    )
    dtype: Literal["int8", "int4"] = Field(
        default="int8", description=f"{DTYPE_TEXT} With backend vllm, int8 needs a GPU."
    )
    algorithm: Algorithm | None = Field(default=None, description=ALGORITHM)
    group_size: VllmGroupSize | None = Field(
        default=None,
        description=f"{GROUP_SIZE} With backend vllm it must divide the inputs of every layer, and is 128 by default; "
        "-1 is one scale for each output channel.",
    )

    def promise(self) -> Promise:
        """Return the drop. The size depends on the share of linear layers in the model, so it is not promised."""
        return Promise(max_size_ratio=None, max_quality_drop=DROPS[self.dtype])

    @property
    def effective_algorithm(self) -> Algorithm:
        """Rounding algorithm; rtn by default."""
        return self.algorithm or "rtn"

    @property
    def effective_group_size(self) -> int:
        """Number of inputs that share a scale; -1 for all inputs."""
        return self.group_size or DEFAULT_GROUP_SIZE
