"""Language models for vLLM: an engine quantizes, and saves a Transformers folder in a format of its own.

llm-compressor gives linear layers weights of few bits: https://github.com/vllm-project/llm-compressor. ModelOpt gives
weights and inputs of linear layers FP8: https://github.com/NVIDIA/Model-Optimizer.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import Artifact, seal
from compression_runner.formats.companions import copy_companions
from compression_runner.methods.quantize.engine import environment
from compression_runner.methods.quantize.engine.environment import FORMATS
from compression_runner.stages.method import Outcome, StageContext
from compression_runner.training.compute import fastest
from compressionjob.methods.quantize import LlmCompressor, ModelOpt

Engine = LlmCompressor | ModelOpt
Settings = Mapping[str, Any]
BITS: Final = {"int8": 8, "int4": 4, "float8": 8}
LEFT_BEHIND: Final = ("recipe.yaml",)
"""What engines leave beside the weights that says nothing which artifact.json does not."""


def _choices(parameters: Engine) -> Settings:
    """Return what the engine gets beside files and bits."""
    if isinstance(parameters, ModelOpt):
        return {}
    return {
        "group_size": parameters.effective_group_size,
        "symmetric": True,
        "algorithm": parameters.effective_algorithm,
    }


def quantize(artifact: Artifact, parameters: Engine, context: StageContext) -> Outcome:
    """The model with its linear layers in few bits; embeddings and the output layer stay as they are.

    Raises BadRecipe where the image has no such engine, or where it fails.
    """
    name = parameters.backend
    copy_companions(artifact, context.output)
    with tempfile.TemporaryDirectory(prefix="engine-", dir=context.output.parent) as folder:
        scratch = Path(folder)
        settings = {
            "source": str(artifact.path.absolute()),
            "target": str(context.output.absolute()),
            "bits": BITS[parameters.dtype],
            "tokens": _tokens(parameters, artifact, context, scratch),
            **_choices(parameters),
        }
        # It computes on cuda:0, which is the same GPU for its torch and for ours.
        told, seen = environment.run(name, settings, scratch, context.field, fastest("float32").gpu)
    for file in LEFT_BEHIND:
        (context.output / file).unlink(missing_ok=True)
    details: dict[str, Any] = {"engine": name, "engineVersions": told["versions"], "bits": settings["bits"]}
    details |= {"gpu": seen} if seen else {}
    return Outcome(seal(context.output, FORMATS[name], artifact.task), details)


def _tokens(parameters: Engine, artifact: Artifact, context: StageContext, scratch: Path) -> str | None:
    """A file with the calibration samples as token ids; None where the algorithm looks at none."""
    if not parameters.needs():
        return None
    samples = context.required_data.samples("calibration", artifact.path)
    place = scratch / "tokens.json"
    place.write_text(json.dumps([sample["input_ids"].tolist() for sample in samples.samples]))
    return str(place)
