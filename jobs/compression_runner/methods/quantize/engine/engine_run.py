"""Quantize a language model for vLLM: an engine writes a Transformers folder in its own format.

llm-compressor quantizes weights of linear layers to few bits: https://github.com/vllm-project/llm-compressor. ModelOpt
quantizes weights and inputs of linear layers to FP8: https://github.com/NVIDIA/Model-Optimizer.
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
REMOVED_FILES: Final = ("recipe.yaml",)
"""Files of engines whose content is also in artifact.json."""


def _algorithm_settings(parameters: Engine) -> Settings:
    """Return the settings of the engine besides files and bits."""
    if isinstance(parameters, ModelOpt):
        return {}
    return {
        "group_size": parameters.effective_group_size,
        "symmetric": True,
        "algorithm": parameters.effective_algorithm,
    }


def quantize(artifact: Artifact, parameters: Engine, context: StageContext) -> Outcome:
    """Return the model with low-bit linear layers; embeddings and the output layer do not change.

    Raises BadRecipe if the image lacks the engine, or the engine fails.
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
            **_algorithm_settings(parameters),
        }
        # The engine computes on cuda:0, which is the same GPU for its torch and for this one.
        result, gpu_details = environment.run(name, settings, scratch, context.field, fastest("float32").gpu)
    for file in REMOVED_FILES:
        (context.output / file).unlink(missing_ok=True)
    details: dict[str, Any] = {"engine": name, "engineVersions": result["versions"], "bits": settings["bits"]}
    details |= {"gpu": gpu_details} if gpu_details else {}
    return Outcome(seal(context.output, FORMATS[name], artifact.task), details)


def _tokens(parameters: Engine, artifact: Artifact, context: StageContext, scratch: Path) -> str | None:
    """Write the calibration samples as token ids to a file; return None if the algorithm needs none."""
    if not parameters.needs():
        return None
    samples = context.required_data.samples("calibration", artifact.path)
    token_file = scratch / "tokens.json"
    token_file.write_text(json.dumps([sample["input_ids"].tolist() for sample in samples.samples]))
    return str(token_file)
