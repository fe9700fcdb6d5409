"""Train a student on what a teacher answers."""

from typing import Any, Final

from compression_runner.artifact import Artifact, Format
from compression_runner.errors import BadRecipe
from compression_runner.methods.method import MIB, Method, Need, Outcome, StageContext, always
from compressionjob.methods.distill import Distill


def run(artifact: Artifact, parameters: Distill, context: StageContext) -> Outcome:
    """The student, trained; its own quality before and after on training data that was held back is in the details."""
    from compression_runner.methods.distill.pairing import require_same_answers, require_same_input
    from compression_runner.methods.distill.student import derive
    from compression_runner.training import model
    from compression_runner.training.batches import Batches
    from compression_runner.training.holdout import hold_back, whole
    from compression_runner.training.loop import Keeping, train
    from compression_runner.training.losses import Distillation, score
    from compression_runner.training.sparsity import keep_zeros

    data = context.required_data
    learned, held = hold_back(data.samples("training", artifact.path))
    if parameters.losses.labels > 0 and learned.labels is None:
        problem = "the training data has no labels"
        remedy = "name their column in spec.data.training.columns.label, or set losses.labels to 0"
        raise BadRecipe("NoLabels", f"{context.field}.losses.labels", parameters.losses.labels, problem, remedy)
    begin = data.model(parameters.student_source) if parameters.student_source else artifact
    student = model.load(begin)
    if parameters.student is not None:
        student = derive(student, parameters.student, f"{context.field}.student")
    teacher = None
    if parameters.losses.asks_teacher:
        taught_by = data.model(parameters.teacher_source) if parameters.teacher_source else data.teacher()
        require_same_input(begin, taught_by, context.field)
        teacher = model.load(taught_by).freeze()
    settings = parameters.training
    batches = Batches(learned, student.interface.inputs, settings.batch_size, settings.seed, settings.augment)
    checks = whole(held, student.interface.inputs)
    require_same_answers(student, teacher, checks[0], context.field)
    before = score(student, teacher, checks)
    learner = Distillation(student, teacher, parameters.losses, batches.of_rows([0, 1 % len(learned)]))
    keeping = Keeping(context.keep, context.kept, context.advance)
    try:
        trained = train(learner, batches, learner.loss, settings, keeping, keep_zeros(student.module))
    except ValueError as error:
        remedy = "choose a smaller training.learningRate, or some training.warmup"
        raise BadRecipe("TrainingDiverged", context.field, settings.learning_rate, str(error), remedy) from error
    after = score(student, teacher, checks)
    details: dict[str, Any] = {
        **trained.details(),
        "parameters": sum(parameter.numel() for parameter in student.module.parameters()),
        "heldBack": {"samples": len(held), "score": after.what, "before": before.value, "after": after.value},
    }
    return Outcome(model.save(student, begin, context.output), details)


def _gives(before: Format, parameters: Distill) -> Format:
    return "transformers" if parameters.student_source else before


METHOD: Final = Method(
    name="distill",
    version=1,
    accepts=always("transformers", "torch"),
    gives=_gives,
    run=run,
    libraries=("torch", "transformers", "safetensors"),
    need=Need(500 * MIB, 5.0, 900 * MIB, 8.0),
    effort=60.0,
)
