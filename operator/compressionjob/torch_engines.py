"""What a job needs to be measured in PyTorch: a Transformers folder, and stages that give one.

The runner checks the formats again, when it knows the source.
"""

from typing import Final

from compressionjob.engine_misfits import Misfit, measured_in, misfit_rules, some_stage
from compressionjob.engines import TORCH_ENGINES
from compressionjob.gpu_engines import GPU_MISFITS
from compressionjob.methods.predicate import AllOf, Not, OneOf, Predicate, Within

_OTHERWISE: Final = "leave spec.benchmark.engine out to measure an exported graph"


def _in_torch(condition: Predicate, field: str, remedy: str) -> Misfit:
    return Misfit(AllOf(measured_in(TORCH_ENGINES), condition), field, f"{remedy}, or {_OTHERWISE}")


TORCH_MISFITS: Final = (
    _in_torch(
        Within("model", OneOf("task", ("onnx",))),
        "model.task",
        "the engine loads Transformers models, not graphs; name the task of such a model",
    ),
    _in_torch(
        Within("model", OneOf("format", ("onnx",))),
        "model.format",
        "the engine loads Transformers models, not graphs; name the folder of such a model",
    ),
    _in_torch(
        Within("output", OneOf("format", ("onnx", "openvino", "torch-export"))),
        "output.format",
        "the engine measures the Transformers folder that is published; use auto",
    ),
    _in_torch(
        some_stage("quantize", Not(AllOf(OneOf("method", ("cast",)), OneOf("dtype", ("bfloat16",))))),
        "pipeline",
        "of quantize, only method cast with dtype bfloat16 gives a Transformers folder whose types PyTorch computes "
        "in; use that",
    ),
    _in_torch(
        some_stage("factorize"),
        "pipeline",
        "the model after factorize is published as a graph, since no Transformers configuration describes it; use "
        "distill or prune",
    ),
    _in_torch(
        some_stage("prune", OneOf("structure", ("channels", "neurons", "heads"))),
        "pipeline",
        "the model after prune of channels, neurons or heads is published as a graph, since no Transformers "
        "configuration describes it; use structure layers",
    ),
)
TORCH_RULES: Final = misfit_rules(TORCH_MISFITS)
"""Rules for the spec as a whole."""
ENGINE_MISFITS: Final = (*GPU_MISFITS, *TORCH_MISFITS)
"""Those of all engines."""
