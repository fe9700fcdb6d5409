"""Weights of few bits as vLLM serves them: llm-compressor quantizes, and saves a Transformers folder.

Source: https://github.com/vllm-project/llm-compressor
"""

import json
import tempfile
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import Artifact, seal
from compression_runner.formats.companions import copy_companions
from compression_runner.methods.method import Outcome, StageContext
from compression_runner.methods.quantize.engine import environment
from compression_runner.methods.quantize.engine.environment import LLM_COMPRESSOR as NAME
from compression_runner.training.compute import fastest
from compressionjob.methods.quantize import Quantize

BITS: Final = {"int8": 8, "int4": 4}


def quantize(artifact: Artifact, parameters: Quantize, context: StageContext) -> Outcome:
    """The model with its linear layers in few bits; embeddings and the output layer stay as they are.

    Raises BadRecipe where the image has no llm-compressor, or where it fails.
    """
    copy_companions(artifact, context.output)
    with tempfile.TemporaryDirectory(prefix="engine-", dir=context.output.parent) as folder:
        scratch = Path(folder)
        settings = {
            "source": str(artifact.path.absolute()),
            "target": str(context.output.absolute()),
            "bits": BITS[parameters.dtype],
            "group_size": parameters.effective_group_size,
            "symmetric": parameters.effective_symmetric,
            "algorithm": parameters.effective_algorithm,
            "tokens": _tokens(parameters, artifact, context, scratch),
        }
        # It computes on cuda:0, which is the same GPU for its torch and for ours.
        told, seen = environment.run(NAME, settings, scratch, context.field, fastest("float32").gpu)
    # What the engine leaves beside the weights says nothing that artifact.json does not.
    (context.output / "recipe.yaml").unlink(missing_ok=True)
    details: dict[str, Any] = {"engine": NAME, "engineVersions": told["versions"], "bits": settings["bits"]}
    details |= {"gpu": seen} if seen else {}
    return Outcome(seal(context.output, "compressed-tensors", artifact.task), details)


def _tokens(parameters: Quantize, artifact: Artifact, context: StageContext, scratch: Path) -> str | None:
    """A file with the calibration samples as token ids; None where the algorithm looks at none."""
    if not parameters.needs():
        return None
    samples = context.required_data.samples("calibration", artifact.path)
    place = scratch / "tokens.json"
    place.write_text(json.dumps([sample["input_ids"].tolist() for sample in samples.samples]))
    return str(place)
