"""Recovery of tasks: the harness's scores, the lowest recovery, and baselines that only guess."""

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from transformers import AutoTokenizer

from compression_runner.artifact import Artifact
from compression_runner.dataset.task_documents import read_task
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.recovery.harness import LocalTask, scores
from compression_runner.evaluation.recovery.language_model import Graph
from compression_runner.evaluation.recovery.recovery import ComparedModels, RecoveryTasks, measure_recovery
from compression_runner.inference.onnx import OnnxPredictor
from compressionjob.estimate import UNBOUNDED_RATIO, Estimate
from compressionjob.task_data import EvaluationTask, RecoveryLimit
from tests.support.questions import SHOWN, choice_rows, continuation_rows, likelihood, write_rows

FIELD = "spec.data.tasks[0]"
LIMIT = RecoveryLimit.model_validate({"min": "0.9"})


def task(**more: Any) -> EvaluationTask:
    fields = {"name": "words", "source": "s3://data/words.jsonl", "kind": "multiple-choice", "prompt": SHOWN}
    return EvaluationTask.model_validate({**fields, **more})


class Transformers(TemplateLM):  # type: ignore[misc]
    """Transformers itself as a model of the harness: each text alone, without a cache."""

    def __init__(self, model_dir: Path) -> None:
        super().__init__()
        self._model_dir = model_dir
        self.tokenizer = AutoTokenizer.from_pretrained(model_dir)

    @property
    def eot_token_id(self) -> int:
        return int(self.tokenizer.eos_token_id)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        return list(self.tokenizer.encode(string))

    def _loglikelihood_tokens(self, requests: Any, **_: Any) -> list[tuple[float, bool]]:
        return [likelihood(self._model_dir, *texts) for texts, _, _ in requests]

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        raise NotImplementedError

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def questions(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty questions, of which the model answers forty-eight right (by acc)."""
    rows = choice_rows(llama, 60, wrong=range(0, 60, 5))
    return write_rows(tmp_path_factory.mktemp("questions") / "words.jsonl", rows)


@pytest.fixture(scope="module")
def predictor(exported_llama: Artifact) -> OnnxPredictor:
    return OnnxPredictor(exported_llama.model_file, 1)


def graph(llama: Path, predictor: OnnxPredictor) -> Graph:
    return Graph(predictor, AutoTokenizer.from_pretrained(llama), 128)


@pytest.mark.parametrize(("metric", "shots"), [("acc", 0), ("acc_norm", 0), ("acc", 2)])
def test_scores_are_those_of_the_harness_with_transformers(
    llama: Path, predictor: OnnxPredictor, questions: Path, metric: str, shots: int
) -> None:
    read = read_task(task(metric=metric, fewShot=shots, limit=20), questions, FIELD)
    assert (len(read.documents), len(read.examples)) == (20, shots)
    right = scores(read, graph(llama, predictor))
    np.testing.assert_array_equal(right, scores(read, Transformers(llama)))
    if (metric, shots) == ("acc", 0):
        np.testing.assert_array_equal(right, [row % 5 != 0 for row in range(20)])


def test_generated_answers_are_matched_after_the_filters(llama: Path, predictor: OnnxPredictor, tmp_path: Path) -> None:
    rows = continuation_rows(llama, 6, 12)
    first = [{**row, "answer": row["answer"][:2].upper()} for row in rows]
    whole = {"maxTokens": 12, "stop": ["\x00"], "ignoreCase": False}
    for written, settings, expected in (
        (rows, whole, True),
        ([{**row, "answer": f"{row['answer']}!"} for row in rows], whole, False),
        (first, {**whole, "pattern": r"^\s*(..)", "ignoreCase": True}, True),
    ):
        chosen = task(kind="generation", generation=settings)
        read = read_task(chosen, write_rows(tmp_path / "written.jsonl", written), FIELD)
        assert scores(read, graph(llama, predictor)).tolist() == [expected] * 6


def test_the_prompt_of_a_question_has_the_examples_and_their_answers(questions: Path, llama: Path) -> None:
    read = read_task(task(fewShot=1, limit=3), questions, FIELD)
    built = LocalTask(read)
    built.build_all_requests()
    example, first = read.examples[0], read.documents[0]
    assert isinstance(example.answer, int)
    context = f"{example.prompt} {example.choices[example.answer]}\n\n{first.prompt}"
    assert [one.args for one in built.instances[:4]] == [(context, f" {choice}") for choice in first.choices]


def models(predictor: OnnxPredictor, *, same: bool = True, kept: Path | None = None) -> ComparedModels:
    return ComparedModels(predictor, predictor, "tiny", same, kept)


def test_a_model_recovers_itself_without_a_network(
    llama: Path, predictor: OnnxPredictor, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    read = read_task(task(metric="acc"), questions, FIELD)
    done: list[float] = []
    both = models(predictor, kept=tmp_path)
    recovery = measure_recovery(RecoveryTasks((read,), llama), LIMIT, both, 0.95, done.append)
    assert recovery.report is not None
    (row,) = recovery.report.tasks
    assert (row.documents, row.baseline.value, row.chance, row.broken) == (60, 0.8, 0.25, 0)
    assert recovery.estimates == {"recovery": Estimate.exact(1.0)}
    assert row.verdict == "Pass"
    assert done == sorted(done)
    assert 0 < done[-1] <= 1
    assert len(list(tmp_path.glob("*.npy"))) == 1
    # The same scores, but not known to be those of one file: an interval around 1.
    again = measure_recovery(RecoveryTasks((read,), llama), LIMIT, replace(both, same=False), 0.95, done.append)
    estimate = again.estimates["recovery"]
    assert estimate.low < 1.0 == estimate.value < estimate.high


def test_a_baseline_that_guesses_has_no_recovery(llama: Path, predictor: OnnxPredictor, tmp_path: Path) -> None:
    rows = choice_rows(llama, 24, wrong=[row for row in range(24) if row % 4])
    read = read_task(task(metric="acc"), write_rows(tmp_path / "words.jsonl", rows), FIELD)
    recovery = measure_recovery(RecoveryTasks((read,), llama), LIMIT, models(predictor), 0.95, lambda part: None)
    assert recovery.report is not None
    (row,) = recovery.report.tasks
    assert (row.recovery, row.verdict) == (None, "Inconclusive")
    assert "0.25 of the questions" in row.reason
    assert "guessing 0.25" in row.reason
    estimate = recovery.estimates["recovery"]
    assert (estimate.low, estimate.high, estimate.reason) == (0.0, UNBOUNDED_RATIO, row.reason)


def test_only_named_tasks_are_judged(llama: Path, predictor: OnnxPredictor, questions: Path) -> None:
    tasks = tuple(read_task(task(name=name, metric="acc", limit=30), questions, FIELD) for name in ("one", "two"))
    chosen, both = RecoveryTasks(tasks, llama), models(predictor, same=False)
    limit = RecoveryLimit.model_validate({"min": "0.5", "tasks": ["two"]})
    some = measure_recovery(chosen, limit, both, 0.95, lambda part: None)
    every = measure_recovery(chosen, LIMIT, both, 0.95, lambda part: None)
    none = measure_recovery(chosen, None, both, 0.95, lambda part: None)
    assert some.report is not None
    assert [row.verdict for row in some.report.tasks] == [None, "Pass"]
    # Two judged tasks share the confidence.
    assert every.estimates["recovery"].low < some.estimates["recovery"].low
    assert every.estimates["recovery"].reason.startswith("task ")
    assert none.estimates == {}


def test_a_question_that_is_too_long_is_refused(llama: Path, questions: Path) -> None:
    read = read_task(task(fewShot=8, limit=4), questions, FIELD)
    with pytest.raises(InvalidInput, match="the model takes 128") as refused:
        RecoveryTasks((read,), llama).require_length()
    assert (refused.value.field, refused.value.value) == (f"{FIELD}.fewShot", "8")
    RecoveryTasks((read_task(task(limit=4), questions, FIELD),), llama).require_length()
