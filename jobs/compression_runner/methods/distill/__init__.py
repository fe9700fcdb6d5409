"""Train a student on what a teacher answers."""

from typing import Any, Final

from compression_runner.artifact import Artifact, Format
from compression_runner.formats.source.inspection import Source
from compression_runner.formats.source.regular_shape import require_regular
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always
from compressionjob.methods.distill import Distill


def run(artifact: Artifact, parameters: Distill, context: StageContext) -> Outcome:
    """The student, trained; its own quality before and after on training data that was held back is in the details."""
    from compression_runner.methods.distill.pairing import require_same_answers, require_same_input
    from compression_runner.training import model
    from compression_runner.training.lesson import Lesson, require_labels
    from compression_runner.training.narrowing import derive
    from compression_runner.training.sparsity import keep_zeros

    data, losses = context.required_data, parameters.losses
    samples = data.samples("training", artifact.path)
    if losses.labels > 0:
        require_labels(
            samples, artifact.task, f"{context.field}.losses.labels", losses.labels, "set losses.labels to 0"
        )
    begin = data.model(parameters.student_source) if parameters.student_source else artifact
    student = model.load(begin)
    if parameters.student is not None:
        student = derive(student, parameters.student, f"{context.field}.student")
    teacher = None
    if losses.asks_teacher:
        taught_by = data.model(parameters.teacher_source) if parameters.teacher_source else data.teacher()
        require_same_input(begin, taught_by, context.field)
        teacher = model.load(taught_by).freeze()
    lesson = Lesson(student, teacher, samples, parameters.training)
    require_same_answers(student, teacher, lesson.checks[0], context.field)
    before = lesson.score()
    remedy = "choose a smaller training.learningRate, or some training.warmup"
    trained = lesson.teach(losses, context, remedy, keep_zeros(student.module))
    details: dict[str, Any] = {
        **trained.details(),
        "parameters": sum(parameter.numel() for parameter in student.module.parameters()),
        **lesson.held_back(before, lesson.score()),
    }
    return Outcome(model.save(student, begin, context.output), details)


def check_source(parameters: Distill, source: Source, field: str) -> None:
    """Raise BadRecipe for a student that is to be derived from a model that is not made of equal layers."""
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
