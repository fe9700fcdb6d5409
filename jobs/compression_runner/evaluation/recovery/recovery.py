"""Measure the recovery of a job's tasks: the report's part, and the estimate for the verdict."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from compression_runner import garbage_collection
from compression_runner.dataset.model_config import model_config
from compression_runner.dataset.task_documents import TaskDocuments
from compression_runner.dataset.text_lengths import position_limit
from compression_runner.dataset.texts import load_tokenizer
from compression_runner.evaluation.answers.answers import kept_answers
from compression_runner.evaluation.statistics.intervals import share
from compression_runner.evaluation.statistics.paired_ratio import ratio_of_shares
from compression_runner.evaluation.statistics.paired_shares import Marks, each_of, worst_score
from compression_runner.inference.predictor import Predictor
from compressionjob.estimate import UNBOUNDED_RATIO, Estimate
from compressionjob.report.recovery import RecoveryReport, TaskRecovery
from compressionjob.sla_objectives import RECOVERY, Objective
from compressionjob.task_data import RecoveryLimit
from compressionjob.verdict import LimitVerdict, verdict_on

HARNESS: Final = "lm-eval"
OFFLINE: Final = ("HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE")


@dataclass(frozen=True)
class RecoveryTasks:
    """The tasks of a job, and the folder with the tokenizer and the configuration of its model."""

    tasks: tuple[TaskDocuments, ...]
    model_dir: Path

    @property
    def longest(self) -> int | None:
        """The most tokens that the model takes; None if that is unknown."""
        limit = position_limit(model_config(self.model_dir) or {})
        return limit.tokens if limit else None

    def require_length(self) -> None:
        """Raise InvalidInput for a question that the model cannot take."""
        _harness().require_length(self.tasks, load_tokenizer(self.model_dir), self.longest)


@dataclass(frozen=True)
class Recovery:
    """The recovery part of the report, and the estimate that the limit is judged by, if there is a limit."""

    report: RecoveryReport | None = None
    estimates: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparedModels:
    """Both models, and a text that identifies the baseline; its scores are kept in the folder `kept`, if any.

    `same` means that both models are identical.
    """

    baseline: Predictor
    compressed: Predictor
    identity: str
    same: bool
    kept: Path | None = None


def measure_recovery(
    request: RecoveryTasks,
    limit: RecoveryLimit | None,
    models: ComparedModels,
    confidence: float,
    advance: Callable[[float], None],
) -> Recovery:
    """Ask both models all questions, and compare their scores task by task.

    `confidence` holds for the recovery of all judged tasks together. The estimate is the lowest recovery.
    """
    judged = [task for task in request.tasks if limit and limit.judges(task.task.name)]
    each = each_of(len(judged or request.tasks), confidence)
    results = []
    for index, task in enumerate(request.tasks):
        before, after = _scores_of(request, task, models, partial(_advance, advance, index, len(request.tasks)))
        results.append(_compared(task, before, after, each, limit.min if limit and task in judged else None, models))
    report = RecoveryReport(harness=f"{HARNESS} {version(HARNESS)}", tasks=results)
    lowest = _lowest([one for one, task in zip(results, request.tasks, strict=True) if task in judged])
    return Recovery(report, {RECOVERY: lowest} if lowest else {})


def _advance(advance: Callable[[float], None], done: int, tasks: int, part: float) -> None:
    advance((done + part) / tasks)


def _scores_of(
    request: RecoveryTasks, task: TaskDocuments, models: ComparedModels, advance: Callable[[float], None]
) -> tuple[Marks, Marks]:
    """Return which questions the baseline and the compressed model answer right."""
    harness, tokenizer = _harness(), load_tokenizer(request.model_dir)
    requests = sum(max(1, len(document.choices)) for document in task.documents)

    def scores(predictor: Predictor, begin: float) -> Marks:
        model = harness.Graph(
            predictor, tokenizer, request.longest, lambda done: advance(begin + 0.5 * min(1.0, done / requests))
        )
        return np.asarray(harness.scores(task, model), dtype=np.bool_)

    kept = models.kept / f"{_fingerprint(task, models.identity)}.npy" if models.kept else None
    before = kept_answers(kept, lambda: scores(models.baseline, 0.0).astype(np.float32)) > 0
    return before, before if models.same else scores(models.compressed, 0.5)


def _compared(
    task: TaskDocuments, before: Marks, after: Marks, confidence: float, limit: float | None, models: ComparedModels
) -> TaskRecovery:
    """Return the scores of both models on a task, with the recovery if the baseline is better than chance."""
    old, new = share(before, confidence), share(after, confidence)
    reason = _no_better_than_chance(task, old)
    recovery = None if reason else Estimate.exact(1.0) if models.same else ratio_of_shares(before, after, confidence)
    return TaskRecovery(
        name=task.task.name,
        kind=task.task.kind,
        metric=task.task.measured_by,
        documents=len(task.documents),
        few_shot=len(task.examples),
        chance=round(task.chance, 6),
        baseline=old,
        compressed=new,
        recovery=recovery,
        broken=int(np.sum(before & ~after)),
        fixed=int(np.sum(~before & after)),
        verdict=None if limit is None else _verdict(recovery, limit),
        reason=reason,
        source=task.task.source,
        digest=task.digest,
    )


def _no_better_than_chance(task: TaskDocuments, score: Estimate) -> str:
    """Return why a baseline has no recovery; empty if its score is better than that of a model that guesses."""
    if score.low > task.chance:
        return ""
    right = "no question" if score.value == 0 else f"{score.value:.3g} of the questions"
    chance = f", and guessing {task.chance:.3g}" if task.chance else ""
    return f"the baseline answers {right} of task {task.task.name} right{chance}: use more questions or another task"


def _verdict(recovery: Estimate | None, limit: float) -> LimitVerdict:
    objective = Objective(RECOVERY, limit, "at least", "ratio")
    return verdict_on(objective, recovery) if recovery else "Inconclusive"


def _lowest(judged: Sequence[TaskRecovery]) -> Estimate | None:
    """Return the lowest recovery of the judged tasks; its reason names the task.

    A task without a recovery could have any.
    """
    if not judged:
        return None
    known = {task.name: task.recovery for task in judged if task.recovery is not None}
    reasons = [task.reason for task in judged if task.recovery is None]
    if not known:
        return Estimate(value=0.0, low=0.0, high=UNBOUNDED_RATIO, reason="; ".join(reasons))
    lowest = worst_score(list(known.values()))
    name = min(known, key=lambda one: known[one].value)
    if reasons:
        return lowest.model_copy(update={"low": 0.0, "reason": "; ".join(reasons)})
    return lowest.model_copy(update={"reason": f"task {name}" if len(judged) > 1 else ""})


def _fingerprint(task: TaskDocuments, model: str) -> str:
    """Return a hash of everything that the baseline's scores on a task depend on."""
    parts = {
        "model": model,
        "task": task.task.to_json() | {"source": ""},
        "digest": task.digest,
        HARNESS: version(HARNESS),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _harness() -> Any:
    """Import the part that uses lm-evaluation-harness, offline and without its notes on settings."""
    for name in OFFLINE:
        os.environ.setdefault(name, "1")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with garbage_collection.importing():
        from compression_runner.evaluation.recovery import harness
    return harness
