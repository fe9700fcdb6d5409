"""The input of a pod from the operator: a file, or environment variables from an older operator."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from compressionjob.errors import FieldProblem, InvalidSpec
from compressionjob.pod_input import decode, digest_of
from compressionjob.pod_interface import (
    INPUT_DIGEST_VARIABLE,
    INPUT_JOB,
    INPUT_JUDGED,
    INPUT_REVIEW,
    INPUT_VARIABLE,
    JOB_VARIABLE,
    JUDGED_VARIABLE,
    REVIEW_VARIABLE,
)
from compressionjob.report import JudgedResult
from compressionjob.review import ReviewOutcome
from compressionjob.spec import CompressionJob, parse_job

_VARIABLES: Final = {INPUT_JOB: JOB_VARIABLE, INPUT_REVIEW: REVIEW_VARIABLE, INPUT_JUDGED: JUDGED_VARIABLE}
"""The documents' names, and the variables that an older operator sets."""

Document = TypeVar("Document", bound=BaseModel)


class PodInput:
    """Documents by name; ``named`` returns the field name of a document for errors."""

    def __init__(self, documents: Mapping[str, Any], named: Callable[[str], str]) -> None:
        self._documents = documents
        self._named = named

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "PodInput":
        """Read the file that the environment names, or the variables of an older operator.

        Raises InvalidSpec if the file is missing, or does not have the operator's content.
        """
        path = environment.get(INPUT_VARIABLE)
        if path is None:
            return cls(
                {name: _json(environment.get(variable, "")) for name, variable in _VARIABLES.items()},
                lambda name: _VARIABLES[name],
            )
        return cls(_file(path, environment.get(INPUT_DIGEST_VARIABLE, "")), lambda name: f"{name} in {path}")

    def job(self) -> CompressionJob:
        """Return the job. Raises InvalidSpec, which names every invalid field."""
        return parse_job(self._documents.get(INPUT_JOB))

    def review(self) -> ReviewOutcome:
        """Return the review that allows the pod to publish. Raises InvalidSpec if it is missing."""
        return self._document(INPUT_REVIEW, ReviewOutcome, "the operator sets it from a CompressionReview")

    def judged(self) -> JudgedResult:
        """Return the judged artifact that the pod may publish. Raises InvalidSpec if it is missing."""
        remedy = "upgrade the operator: it says what was judged, and nothing else may be published"
        return self._document(INPUT_JUDGED, JudgedResult, remedy)

    def _document(self, name: str, model: type[Document], remedy: str) -> Document:
        given = self._documents.get(name)
        try:
            return model.model_validate(given)
        except ValueError as error:
            value = "" if given is None else json.dumps(given, ensure_ascii=False)
            raise InvalidSpec([FieldProblem(self._named(name), value, remedy)]) from error


def _json(text: str) -> Any:
    """Return the value of a variable; None if it is missing or invalid JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _file(path: str, digest: str) -> dict[str, Any]:
    try:
        text = Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "the file cannot be read: its volume shows an annotation of the pod; submit the job again"
        raise InvalidSpec([FieldProblem(INPUT_VARIABLE, path, remedy)]) from error
    if digest_of(text) != digest:
        remedy = "the file is not what the operator wrote: leave the pod's annotations alone, and submit the job again"
        raise InvalidSpec([FieldProblem(INPUT_VARIABLE, path, remedy)])
    try:
        return decode(text)
    except ValueError as error:
        remedy = "this image cannot read the file: use an image of the operator's version in the CompressionRuntime"
        raise InvalidSpec([FieldProblem(INPUT_VARIABLE, path, remedy)]) from error
