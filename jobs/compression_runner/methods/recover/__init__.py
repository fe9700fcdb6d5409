"""Learn again what a lossy stage lost."""

from typing import Any, Final

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.methods.method import MIB, Method, Need, Outcome, StageContext, always
from compressionjob.methods.distill import Losses
from compressionjob.methods.recover import Recover


def run(artifact: Artifact, parameters: Recover, context: StageContext) -> Outcome:
    """The model after training, or as it was where training did not help on training data that was held back."""
    from compression_runner.training import model
    from compression_runner.training.batches import Batches
    from compression_runner.training.holdout import hold_back, whole
    from compression_runner.training.loop import Keeping, train
    from compression_runner.training.losses import Distillation, score
    from compression_runner.training.sparsity import keep_zeros, sparsity

    data = context.required_data
    learned, held = hold_back(data.samples("training", artifact.path))
    by_labels = parameters.method == "labels"
    if by_labels and learned.labels is None:
        remedy = "name their column in spec.data.training.columns.label, or use method distillation"
        raise BadRecipe("NoLabels", f"{context.field}.method", "labels", "the training data has no labels", remedy)
    student = model.load(artifact)
    teacher = model.load(data.teacher()).freeze()
    settings = parameters.training
    batches = Batches(learned, student.interface.inputs, settings.batch_size, settings.seed, settings.augment)
    checks = whole(held, student.interface.inputs)
    target = score(teacher, teacher, checks).value
    before = score(student, teacher, checks)
    most = parameters.max_drop

    def enough() -> bool:
        return most is not None and target - score(student, teacher, checks).value <= most

    losses = Losses(output=0.0, labels=1.0) if by_labels else Losses()
    learner = Distillation(student, teacher, losses, batches.of_rows([0]))
    keeping = Keeping(context.keep, context.kept, context.advance)
    details: dict[str, Any] = {"heldBack": {"samples": len(held), "score": before.what, "baseline": target}}
    if most is not None and target - before.value <= most:
        told = {"before": before.value, "after": before.value, "kept": False, "steps": 0}
        details["heldBack"] |= told
        return Outcome(model.save(student, artifact, context.output), details | {"sparsity": sparsity(student.module)})
    try:
        trained = train(learner, batches, learner.loss, settings, keeping, keep_zeros(student.module), enough)
    except ValueError as error:
        remedy = "choose a smaller training.learningRate, or some training.warmup"
        raise BadRecipe("TrainingDiverged", context.field, settings.learning_rate, str(error), remedy) from error
    after = score(student, teacher, checks)
    helped = after.value > before.value
    result = student if helped else model.load(artifact)
    details["heldBack"] |= {"before": before.value, "after": after.value, "kept": helped}
    details |= {**trained.details(), "sparsity": round(sparsity(result.module), 6)}
    return Outcome(model.save(result, artifact, context.output), details)


METHOD: Final = Method(
    name="recover",
    version=1,
    accepts=always("transformers", "torch"),
    run=run,
    libraries=("torch", "transformers", "safetensors"),
    need=Need(500 * MIB, 5.0, 900 * MIB, 8.0),
    effort=60.0,
)
