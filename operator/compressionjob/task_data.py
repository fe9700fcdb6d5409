"""Tasks for language models: questions with known answers, which lm-evaluation-harness asks both models."""

import re
from collections.abc import Iterator, Sequence
from string import Formatter
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, StrictBool, model_validator

from compressionjob.errors import FieldProblem
from compressionjob.field_types import ColumnName, Label, Positive, Schema, cel, with_rules
from compressionjob.locations import SourceText

TaskKind = Literal["multiple-choice", "generation"]
TaskMetric = Literal["acc", "acc_norm", "exact_match"]
TASK_METRICS: Final[dict[TaskKind, tuple[TaskMetric, ...]]] = {
    "multiple-choice": ("acc_norm", "acc"),
    "generation": ("exact_match",),
}
"""The metrics of each kind; the first is the default. They are those of lm-evaluation-harness."""
DEFAULT_PROMPT: Final = "Question: {question}\nAnswer:"
DEFAULT_STOP: Final = "\n"
MAX_TASKS: Final = 16

_METRIC_TEXT: Final = "kind multiple-choice is measured by acc or acc_norm, kind generation by exact_match"
_METRIC_RULE: Final = "!has(self.metric) || (self.metric == 'exact_match') == (self.kind == 'generation')"
_GENERATION_TEXT: Final = "only kind generation generates text; remove generation, or set kind: generation"
_GENERATION_RULE: Final = "!has(self.generation) || self.kind == 'generation'"
_TWICE: Final = "names of tasks must differ; choose another"
ONLY_GENERATION: Final = "tasks are for language models (task text-generation); remove them"
NO_TASKS: Final = "recovery is measured on tasks; list them in spec.data.tasks"


class TaskColumns(Schema):
    """Names of the columns of a task's data."""

    question: ColumnName = Field(default="question", description="Column with the question.")
    choices: ColumnName = Field(
        default="choices", description="Column with the list of choices, for kind multiple-choice."
    )
    answer: ColumnName = Field(
        default="answer",
        description="Column with the right answer: its text, or for kind multiple-choice the number of the choice, "
        "from 0.",
    )


class Generation(Schema):
    """How an answer is generated and compared."""

    max_tokens: Annotated[int, Field(ge=1, le=4096)] = Field(default=64, description="Most tokens of an answer.")
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=8)] = Field(
        default=[], description="Texts that end an answer; a line break by default."
    )
    pattern: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(
        default=None,
        description="Regular expression (Python) that extracts the answer from the generated text: its first group, or "
        "the whole match. By default the whole text counts, without spaces at its ends.",
    )
    ignore_case: StrictBool = Field(default=True, description="Compare without regard to capital letters.")

    @model_validator(mode="after")
    def _pattern_compiles(self) -> "Generation":
        try:
            re.compile(self.pattern or "")
        except (re.error, OverflowError, RecursionError) as error:  # also too many repetitions, and too deep groups
            raise ValueError("pattern is no regular expression of Python; correct it") from error
        return self


class EvaluationTask(Schema):
    """Questions with known answers."""

    model_config = with_rules(cel(_METRIC_RULE, _METRIC_TEXT), cel(_GENERATION_RULE, _GENERATION_TEXT))

    name: Label = Field(description="Name of the task in the report.")
    source: SourceText = Field(
        description="A .jsonl or .parquet file with a question in each row; a .csv file for kind generation."
    )
    kind: TaskKind = Field(
        description="multiple-choice: the answer is the choice that the model finds most probable. generation: the "
        "model writes the answer, the most probable token at each step."
    )
    columns: TaskColumns = Field(default=TaskColumns(), description="Names of the columns.")
    prompt: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        default=None,
        description="Text before the answer. A space is added after it. {question} stands for the column with the "
        "question, and any other name in braces for the column of that name; {{ and }} are braces. By default "
        "'Question: {question}', and 'Answer:' in the next line.",
    )
    few_shot: Annotated[int, Field(ge=0, le=64)] = Field(
        default=0,
        description="Number of questions with answers in front of each question: the first rows, which are not scored.",
    )
    limit: Annotated[int, Field(ge=2, le=100_000)] = Field(
        default=1000, description="Number of scored questions, from the start."
    )
    metric: TaskMetric | None = Field(
        default=None,
        description="Metric of lm-evaluation-harness. multiple-choice: acc_norm (the default; log-likelihoods are "
        "divided by the length of the choice), acc. generation: exact_match.",
    )
    generation: Generation | None = Field(
        default=None, description="How answers are generated and compared, for kind generation."
    )

    @model_validator(mode="after")
    def _of_its_kind(self) -> "EvaluationTask":
        if self.metric is not None and self.metric not in TASK_METRICS[self.kind]:
            raise ValueError(_METRIC_TEXT)
        if self.generation is not None and self.kind != "generation":
            raise ValueError(_GENERATION_TEXT)
        placeholders(self.prompted_by)
        return self

    @property
    def prompted_by(self) -> str:
        """The prompt, or the default."""
        return self.prompt or DEFAULT_PROMPT

    @property
    def measured_by(self) -> TaskMetric:
        """The metric, or the default of the kind."""
        return self.metric or TASK_METRICS[self.kind][0]

    @property
    def generates(self) -> Generation:
        """How answers are generated."""
        return self.generation or Generation()

    def column_of(self, name: str) -> str:
        """Return the column that a name in braces stands for."""
        return self.columns.question if name == "question" else name

    def columns_needed(self) -> list[str]:
        """Return the columns that the data must have."""
        choices = [self.columns.choices] if self.kind == "multiple-choice" else []
        names = [self.column_of(name) for name in placeholders(self.prompted_by)]
        return list(dict.fromkeys([*names, *choices, self.columns.answer]))


class RecoveryLimit(Schema):
    """Limit on the recovery of tasks: score of the compressed model divided by the baseline's."""

    min: Positive = Field(description='Lowest recovery of each task: "0.99".')
    tasks: Annotated[list[Label], Field(max_length=MAX_TASKS)] = Field(
        default=[], description="Names of the tasks that the limit is for; all of spec.data.tasks by default."
    )

    def judges(self, task: str) -> bool:
        """Return whether the limit is for the task of this name."""
        return not self.tasks or task in self.tasks


def placeholders(prompt: str) -> list[str]:
    """Return the names in braces of a prompt. Raises ValueError for a prompt without one, or that cannot be read."""
    try:
        parts = list(Formatter().parse(prompt))
    except ValueError as error:
        raise ValueError("a brace in prompt has no partner; write a brace as {{ or }}") from error
    names = [name for _, name, _, _ in parts if name is not None]
    plain = all(not spec and conversion is None for _, name, spec, conversion in parts if name is not None)
    if not plain or not all(re.fullmatch(r"[^\W\d][\w -]*", name) for name in names):
        raise ValueError("prompt has more than a name in braces; write {COLUMN}, and a brace as {{ or }}")
    if not names:
        raise ValueError("prompt has no column in braces, so all questions would be the same; add {question}")
    return names


TASK_RULES: Final[list[JsonValue]] = [cel("self.all(s, self.exists_one(t, t.name == s.name))", _TWICE)]
"""Rules about the list of tasks."""
TASK_SPEC_RULES: Final[list[JsonValue]] = [
    cel(
        "!has(self.data.tasks) || self.data.tasks.size() == 0 || self.model.task == 'text-generation'",
        ONLY_GENERATION,
        fieldPath=".data.tasks",
    ),
    cel(
        "!has(self.sla.recovery) || (has(self.data.tasks) && self.data.tasks.size() > 0)",
        NO_TASKS,
        fieldPath=".sla.recovery",
    ),
]
"""Rules for the spec as a whole."""


def task_problems(tasks: Sequence[EvaluationTask], judged: Sequence[str] | None, task: str) -> Iterator[FieldProblem]:
    """Yield tasks of other models, names that occur twice, and limits on missing tasks.

    `judged` are the names that sla.recovery lists, none for all tasks; None without the limit.
    """
    names = [one.name for one in tasks]
    if tasks and task != "text-generation":
        yield FieldProblem("spec.data.tasks", ", ".join(names), ONLY_GENERATION)
    for index, name in enumerate(names):
        if name in names[:index]:
            yield FieldProblem(f"spec.data.tasks[{index}].name", name, _TWICE)
    if judged is None:
        return
    if not tasks:
        yield FieldProblem("spec.sla.recovery", "", NO_TASKS)
        return
    for index, name in enumerate(judged):
        if name not in names:
            remedy = f"there is no such task in spec.data.tasks; use {', '.join(names)}"
            yield FieldProblem(f"spec.sla.recovery.tasks[{index}]", name, remedy)
