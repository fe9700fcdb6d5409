"""Questions of a task: prompts, choices and answers of each row, and rows that are none."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compression_runner.dataset.task_documents import Document, read_task
from compression_runner.errors import InvalidInput
from compressionjob.task_data import EvaluationTask
from tests.support.questions import write_rows

FIELD = "spec.data.tasks[1]"
ROWS: list[dict[str, Any]] = [
    {"question": "Which is hot?", "choices": ["sun", "ice"], "answer": 0, "hint": "{x}"},
    {"question": "Which is cold?", "choices": ["sun", "ice"], "answer": "ice", "hint": "b"},
    {"question": "Which is wet?", "choices": ["sand", "rain", "dust"], "answer": 1, "hint": "c"},
]


def task(**more: Any) -> EvaluationTask:
    fields = {"name": "words", "source": "s3://data/words.jsonl", "kind": "multiple-choice"}
    return EvaluationTask.model_validate({**fields, **more})


def test_choices_may_be_named_or_numbered(tmp_path: Path) -> None:
    read = read_task(task(), write_rows(tmp_path / "words.jsonl", ROWS), FIELD)
    assert read.documents[0] == Document("Question: Which is hot?\nAnswer:", ("sun", "ice"), 0)
    assert [document.answer for document in read.documents] == [0, 1, 1]
    assert read.chance == pytest.approx((0.5 + 0.5 + 1 / 3) / 3)
    assert read.digest.startswith("sha256:")


def test_parquet_has_the_same_questions(tmp_path: Path) -> None:
    rows = [{**row, "answer": str(["sun", "ice", "rain"][place])} for place, row in enumerate(ROWS)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "words.parquet")
    read = read_task(task(), tmp_path / "words.parquet", FIELD)
    assert read.documents == read_task(task(), write_rows(tmp_path / "words.jsonl", ROWS), FIELD).documents


def test_a_prompt_names_columns_and_leaves_values_as_they_are(tmp_path: Path) -> None:
    place = write_rows(tmp_path / "words.jsonl", ROWS)
    read = read_task(task(prompt="{{{hint}}} {question}:"), place, FIELD)
    assert read.documents[0].prompt == "{{x}} Which is hot?:"


def test_the_first_rows_are_the_examples_and_the_limit_counts_the_others(tmp_path: Path) -> None:
    place = write_rows(tmp_path / "words.jsonl", [*ROWS, *ROWS])
    read = read_task(task(fewShot=2, limit=3), place, FIELD)
    assert [document.answer for document in read.examples] == [0, 1]
    assert len(read.documents) == 3


def test_generated_answers_are_texts(tmp_path: Path) -> None:
    rows = [{"question": "2 + 2", "answer": 4}, {"question": "3 + 3", "answer": " 6 "}]
    read = read_task(task(kind="generation"), write_rows(tmp_path / "sums.jsonl", rows), FIELD)
    assert [document.answer for document in read.documents] == ["4", "6"]
    assert read.chance == 0.0


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"answer": "steam"}, "columns.answer", "not among the choices sun, ice"),
        ({"answer": 2}, "columns.answer", "its number from 0 to 1"),
        ({"answer": True}, "columns.answer", "row 1"),
        ({"answer": None}, "columns.answer", "row 1"),
        ({"choices": ["sun"]}, "columns.choices", "two or more texts"),
        ({"choices": "sun"}, "columns.choices", "two or more texts"),
        ({"choices": ["sun", "sun"]}, "columns.choices", "twice"),
        ({"choices": ["sun", 3]}, "columns.choices", "two or more texts"),
        ({"question": None}, "columns.question", "row 1 of column question"),
        ({"question": ""}, "columns.question", "not text"),
    ],
)
def test_rows_that_are_no_questions_are_refused(tmp_path: Path, change: dict[str, Any], field: str, says: str) -> None:
    place = write_rows(tmp_path / "words.jsonl", [ROWS[0], {**ROWS[1], **change}, ROWS[2]])
    with pytest.raises(InvalidInput) as refused:
        read_task(task(), place, FIELD)
    assert refused.value.field == f"{FIELD}.{field}"
    assert says in f"{refused.value.problem}; {refused.value.remedy}"


def test_an_answer_without_text_is_refused(tmp_path: Path) -> None:
    place = write_rows(tmp_path / "sums.jsonl", [{"question": "2 + 2", "answer": " "}] * 3)
    with pytest.raises(InvalidInput, match="row 0 is not text"):
        read_task(task(kind="generation"), place, FIELD)


def test_more_examples_than_rows_are_refused(tmp_path: Path) -> None:
    place = write_rows(tmp_path / "words.jsonl", ROWS)
    with pytest.raises(InvalidInput, match="the file has 3 rows: 0 are left") as refused:
        read_task(task(fewShot=5), place, FIELD)
    assert (refused.value.field, refused.value.remedy) == (
        f"{FIELD}.fewShot",
        "give at least 7 rows, or fewer examples",
    )


def test_a_missing_column_is_refused(tmp_path: Path) -> None:
    place = write_rows(tmp_path / "words.jsonl", ROWS)
    with pytest.raises(InvalidInput, match="the columns are: question, choices, answer, hint") as refused:
        read_task(task(columns={"choices": "options"}), place, FIELD)
    assert refused.value.field.startswith(f"{FIELD}.columns")
