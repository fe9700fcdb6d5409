"""Export a Transformers model to ONNX or torch.export, steps that the planner inserts."""

from collections.abc import Mapping
from typing import Final

from compression_runner import garbage_collection
from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always

UNEXPORTABLE: Final[Mapping[str, str]] = {
    "attention_window": "torch cannot export the model: Could not guard on data-dependent expression "
    "(the tokens that attend to all)",
    "squeeze_factor": "torch exports the model for one length: it pads recordings of some lengths, and not of others",
}
"""Keys of config.json of models whose shapes depend on values or lengths (Longformer and LED; SEW and SEW-D)."""


def check_source(_parameters: None, source: Source, field: str) -> None:
    """Raise BadRecipe for a model that torch cannot export, by a key of its configuration."""
    for key, problem in UNEXPORTABLE.items():
        if key in source.config and source.config[key] != 1:
            remedy = "name another model, or export it to ONNX yourself"
            raise BadRecipe("ExportFailed", field, "export to ONNX", f"{problem} ({key} in config.json)", remedy)


def run(artifact: Artifact, _parameters: None, context: StageContext) -> Outcome:
    """Return a checked ONNX export with the tokenizer beside it."""
    # torch takes seconds to import: only exports need it.
    with garbage_collection.importing():
        from compression_runner.formats.companions import copy_companions
        from compression_runner.formats.export import export

    copy_companions(artifact, context.output, exported=True)
    comparison = export(artifact, context.output)
    details = {"comparedInputs": comparison.inputs, "maxAbsDifference": comparison.max_abs_difference}
    return Outcome(seal(context.output, "onnx", artifact.task), details)


def run_program(artifact: Artifact, _parameters: None, context: StageContext) -> Outcome:
    """Return a checked program with the tokenizer beside it."""
    from compression_runner.formats.companions import copy_companions
    from compression_runner.formats.program import export_program

    copy_companions(artifact, context.output, exported=True)
    comparison = export_program(artifact, context.output)
    details = {"comparedInputs": comparison.inputs, "maxAbsDifference": comparison.max_abs_difference}
    return Outcome(seal(context.output, "torch-export", artifact.task), details)


METHOD = Method(
    name="export",
    version=1,
    accepts=always("transformers", "torch", "compressed-tensors", "modelopt"),
    run=run,
    check_source=check_source,
    gives=lambda _before, _parameters: "onnx",
    libraries=("torch", "transformers", "onnx", "onnxscript"),
    need=Need(450 * MIB, 2.0, 760 * MIB, 5.5),
    effort=10.0,
)

PROGRAM = Method(
    name="export-program",
    version=1,
    accepts=always("transformers", "torch"),
    run=run_program,
    gives=lambda _before, _parameters: "torch-export",
    libraries=("torch", "transformers"),
    need=Need(450 * MIB, 3.0, 760 * MIB, 4.0),
    effort=10.0,
)
