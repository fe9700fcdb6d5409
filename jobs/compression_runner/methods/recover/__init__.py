"""Recover accuracy that a lossy stage lost, by training."""

from typing import Final

from compression_runner.artifact import Artifact
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always
from compressionjob.methods.losses import Losses
from compressionjob.methods.recover import Recover


def run(artifact: Artifact, parameters: Recover, context: StageContext) -> Outcome:
    """Train the model; return it unchanged if training did not lower the loss on held-out training data.

    The criterion is the loss against the teacher or the labels, not the accuracy: the baseline was mostly trained on
    this very data, so even a damaged model answers most of it right.
    """
    from compression_runner.training import model
    from compression_runner.training.sparsity import keep_zeros, sparsity
    from compression_runner.training.trainer import Trainer, require_labels

    data = context.required_data
    samples = data.samples("training", artifact.path)
    by_labels, most = parameters.method == "labels", parameters.max_drop
    if by_labels:
        require_labels(samples, artifact.task, f"{context.field}.method", "labels", "use method distillation")
    student, teacher = model.load(artifact), model.load(data.teacher()).freeze()
    trainer = Trainer(student, teacher, samples, parameters.training)
    baseline = trainer.score(teacher).value

    def enough(now: float | None = None) -> bool:
        return most is not None and baseline - (trainer.score().value if now is None else now) <= most

    before = trainer.score()
    if enough(before.value):
        details = trainer.holdout_details(before, before, baseline=baseline, kept=False, steps=0)
        return Outcome(model.save(student, artifact, context.output), details | {"sparsity": sparsity(student.module)})
    losses = Losses(output=0.0, labels=1.0) if by_labels else Losses()
    criterion = losses.model_copy(update={"temperature": 1.0})
    loss_before = trainer.loss(criterion)
    trained = trainer.train(losses, context, keep_zeros(student.module), enough)
    after, loss_after = trainer.score(), trainer.loss(criterion)
    helped = loss_after < loss_before
    result = student if helped else model.load(artifact)
    loss = {"before": float(f"{loss_before:.4g}"), "after": float(f"{loss_after:.4g}")}
    details = trainer.holdout_details(before, after, baseline=baseline, kept=helped, loss=loss)
    details |= {**trained.details(), "sparsity": round(sparsity(result.module), 6)}
    return Outcome(model.save(result, artifact, context.output), details)


METHOD: Final = Method(
    name="recover",
    version=3,
    accepts=always("transformers", "torch"),
    run=run,
    libraries=("torch", "transformers", "safetensors"),
    need=Need(500 * MIB, 5.0, 900 * MIB, 8.0),
    effort=60.0,
)
