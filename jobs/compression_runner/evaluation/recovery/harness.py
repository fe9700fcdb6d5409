"""Tasks of lm-evaluation-harness over a job's own data: prompts, requests, filters and scores are the harness's.

Nothing is downloaded: documents come from the job's files, and the metrics are those that the harness computes itself.
The harness takes seconds to import, so this module is imported only where a job has tasks (`recovery.harness`).
"""

import contextlib
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate
from numpy.typing import NDArray

from compression_runner.dataset.task_documents import Document, TaskDocuments
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.recovery.language_model import Graph, require_ends
from compressionjob.conditions import INVALID_INPUT
from compressionjob.task_data import DEFAULT_STOP


class LocalTask(ConfigurableTask):  # type: ignore[misc]  # the harness has no types
    """A task of the harness over documents in memory, without a progress bar."""

    def __init__(self, task: TaskDocuments) -> None:
        """Configure the task; the settings are those of the harness's YAML files."""
        documents = Dataset.from_list([_row(document) for document in task.documents])
        kind = _choosing(task) if task.documents[0].choices else _writing(task)
        config = {
            "task": task.task.name,
            "custom_dataset": lambda: {"test": documents},
            "test_split": "test",
            "doc_to_text": "prompt",
            "doc_to_target": "answer",
            "num_fewshot": len(task.examples),
            "fewshot_config": {"sampler": "first_n", "samples": [_row(document) for document in task.examples]},
        }
        super().__init__(config={**config, **kind})
        self.set_fewshot_seed(0)

    def build_all_requests(self, **settings: Any) -> None:
        """Build the requests of all documents."""
        with contextlib.redirect_stderr(io.StringIO()):
            super().build_all_requests(**settings)


def _row(document: Document) -> dict[str, Any]:
    choices = {"choices": list(document.choices)} if document.choices else {}
    return {"prompt": document.prompt, "answer": document.answer, **choices}


def _choosing(task: TaskDocuments) -> dict[str, Any]:
    return {"output_type": "multiple_choice", "doc_to_choice": "choices", "metric_list": [_metric(task)]}


def _writing(task: TaskDocuments) -> dict[str, Any]:
    settings = task.task.generates
    extract = {"function": "regex", "regex_pattern": settings.pattern, "group_select": 0}
    filters = [*([extract] if settings.pattern else []), {"function": "remove_whitespace"}, {"function": "take_first"}]
    return {
        "output_type": "generate_until",
        "metric_list": [{**_metric(task), "ignore_case": settings.ignore_case}],
        "generation_kwargs": {
            "until": settings.stop or [DEFAULT_STOP],
            "do_sample": False,
            "temperature": 0.0,
            "max_gen_toks": settings.max_tokens,
        },
        "filter_list": [{"name": "answer", "filter": filters}],
    }


def _metric(task: TaskDocuments) -> dict[str, Any]:
    return {"metric": task.task.measured_by, "aggregation": "mean", "higher_is_better": True}


def scores(task: TaskDocuments, model: Graph) -> NDArray[np.bool_]:
    """Return which questions a model answers right, shape (documents,). An answer that is not finite is wrong."""
    name, metric = task.task.name, task.task.measured_by
    results = evaluate(model, {"tasks": {name: LocalTask(task)}}, bootstrap_iters=0, log_samples=True)
    samples = sorted(results["samples"][name], key=lambda sample: sample["doc_id"])
    return np.asarray([sample[metric] > 0 and _finite(sample["resps"]) for sample in samples], dtype=np.bool_)


def _finite(responses: Sequence[Sequence[Any]]) -> bool:
    """Return whether all log-likelihoods of a question are finite; texts are."""
    return all(isinstance(one, str) or math.isfinite(one[0]) for request in responses for one in request)


def require_length(tasks: Sequence[TaskDocuments], tokenizer: Any, longest: int | None) -> None:
    """Raise InvalidInput for a task with a question that is longer, with its answer, than the model's most tokens."""
    require_ends(tokenizer)
    model = Graph(None, tokenizer, longest)
    for task in tasks:
        built = LocalTask(task)
        built.build_all_requests()
        needed = max(model.tokens_of(request) for request in built.instances)
        if longest is not None and needed > longest:
            problem = f"a question of task {task.task.name} has {needed} tokens with its examples and its answer"
            remedy = f"the model takes {longest}: use fewer examples, shorter questions or fewer maxTokens"
            raise InvalidInput(INVALID_INPUT, f"{task.field}.fewShot", task.task.few_shot, problem, remedy)
