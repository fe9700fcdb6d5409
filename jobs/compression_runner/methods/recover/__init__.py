"""Learn again what a lossy stage lost."""

from typing import Final

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always
from compressionjob.methods.losses import Losses
from compressionjob.methods.recover import Recover
from compressionjob.tasks import TASKS


def run(artifact: Artifact, parameters: Recover, context: StageContext) -> Outcome:
    """The model after training, or as it was where training did not help on training data that was held back.

    What helps is told by the loss, to the teacher or to the labels: the baseline has mostly learned from this very
    data, and what is left of it still knows the answers.
    """
    from compression_runner.training import model
    from compression_runner.training.lesson import Lesson, require_labels
    from compression_runner.training.sparsity import keep_zeros, sparsity

    data = context.required_data
    samples = data.samples("training", artifact.path)
    by_labels, most = parameters.method == "labels", parameters.max_drop
    if by_labels:
        require_labels(samples, artifact.task, f"{context.field}.method", "labels", "use method distillation")
    student, teacher = model.load(artifact), model.load(data.teacher()).freeze()
    lesson = Lesson(student, teacher, samples, parameters.training)
    baseline = lesson.score(teacher).value

    def enough(now: float | None = None) -> bool:
        return most is not None and baseline - (lesson.score().value if now is None else now) <= most

    before = lesson.score()
    if enough(before.value):
        details = lesson.held_back(before, before, baseline=baseline, kept=False, steps=0)
        return Outcome(model.save(student, artifact, context.output), details | {"sparsity": sparsity(student.module)})
    losses = Losses(output=0.0, labels=1.0) if by_labels else Losses()
    judged_by = losses.model_copy(update={"temperature": 1.0})
    lost = lesson.loss(judged_by)
    remedy = "choose a smaller training.learningRate, or some training.warmup"
    trained = lesson.teach(losses, context, remedy, keep_zeros(student.module), enough)
    after, left = lesson.score(), lesson.loss(judged_by)
    helped = left < lost
    result = student if helped else model.load(artifact)
    told = {"before": float(f"{lost:.4g}"), "after": float(f"{left:.4g}")}
    details = lesson.held_back(before, after, baseline=baseline, kept=helped, loss=told)
    details |= {**trained.details(), "sparsity": round(sparsity(result.module), 6)}
    return Outcome(model.save(result, artifact, context.output), details)


def check_source(parameters: Recover, source: Source, field: str) -> None:
    """Raise BadRecipe for labels of a task that has none: embeddings."""
    traits = TASKS[source.task]
    if parameters.method == "labels" and not traits.labelled and not traits.running_text:
        problem, remedy = f"samples of {source.task} have no labels", "use method distillation"
        raise BadRecipe("NoLabels", f"{field}.method", "labels", problem, remedy)


METHOD: Final = Method(
    name="recover",
    version=3,
    accepts=always("transformers", "torch"),
    run=run,
    check_source=check_source,
    libraries=("torch", "transformers", "safetensors"),
    need=Need(500 * MIB, 5.0, 900 * MIB, 8.0),
    effort=60.0,
)
