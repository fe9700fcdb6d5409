"""Knowledge distillation: train a student on the outputs of a teacher."""

from typing import Any, Final

from compression_runner.artifact import Artifact, Format
from compression_runner.formats.source.inspection import Source
from compression_runner.formats.source.regular_shape import require_regular
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always
from compressionjob.methods.distill import Distill


def run(artifact: Artifact, parameters: Distill, context: StageContext) -> Outcome:
    """Train a student; the details have its score before and after on held-out training data."""
    from compression_runner.methods.distill.pairing import require_same_answers, require_same_input
    from compression_runner.training import model
    from compression_runner.training.sparsity import keep_zeros
    from compression_runner.training.student_initialization import derive
    from compression_runner.training.trainer import Trainer, require_labels

    data, losses = context.required_data, parameters.losses
    samples = data.samples("training", artifact.path)
    if losses.labels > 0:
        require_labels(
            samples, artifact.task, f"{context.field}.losses.labels", losses.labels, "set losses.labels to 0"
        )
    origin = data.model(parameters.student_source) if parameters.student_source else artifact
    student = model.load(origin)
    if parameters.student is not None:
        student = derive(student, parameters.student, f"{context.field}.student")
    teacher = None
    if losses.needs_teacher:
        teacher_source = data.model(parameters.teacher_source) if parameters.teacher_source else data.teacher()
        require_same_input(origin, teacher_source, context.field)
        teacher = model.load(teacher_source).freeze()
    trainer = Trainer(student, teacher, samples, parameters.training)
    require_same_answers(student, teacher, trainer.held_out[0], context.field)
    before = trainer.score()
    trained = trainer.train(losses, context, keep_zeros(student.module))
    details: dict[str, Any] = {
        **trained.details(),
        "parameters": sum(parameter.numel() for parameter in student.module.parameters()),
        **trainer.holdout_details(before, trainer.score()),
    }
    return Outcome(model.save(student, origin, context.output), details)


def check_source(parameters: Distill, source: Source, field: str) -> None:
    """Raise BadRecipe if the student derives from a model whose layers are not equal."""
    if parameters.student is not None and not parameters.student_source and source.format == "transformers":
        require_regular(source.config, f"{field}.student")


def _gives(before: Format, parameters: Distill) -> Format:
    return "transformers" if parameters.student_source else before


METHOD: Final = Method(
    name="distill",
    version=2,
    accepts=always("transformers", "torch"),
    gives=_gives,
    run=run,
    check_source=check_source,
    libraries=("torch", "transformers", "safetensors"),
    need=Need(500 * MIB, 5.0, 900 * MIB, 8.0),
    effort=60.0,
)
