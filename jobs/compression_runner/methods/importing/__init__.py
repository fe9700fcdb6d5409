"""Import a GGUF file as a Transformers directory, a step that the planner inserts."""

from compression_runner.artifact import Artifact, seal
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always


def run(artifact: Artifact, _parameters: None, context: StageContext) -> Outcome:
    """Return a Transformers directory in float32, which the other stages and the export accept."""
    # torch takes seconds to import: only imports of models need it.
    from compression_runner.formats.gguf_model import to_transformers

    gguf = artifact.path / next(file.path for file in artifact.files if file.weights)
    model = to_transformers(gguf, context.output)
    details = {
        "architecture": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "ggufBytes": gguf.stat().st_size,
    }
    return Outcome(seal(context.output, "transformers", artifact.task), details)


METHOD = Method(
    name="import",
    version=1,
    accepts=always("gguf"),
    run=run,
    gives=lambda _before, _parameters: "transformers",
    libraries=("torch", "transformers", "gguf"),
    need=Need(450 * MIB, 2.0, 600 * MIB, 2.5),
    effort=5.0,
)
