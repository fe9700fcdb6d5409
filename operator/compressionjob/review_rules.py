"""Reviews that the platform team requires, whatever a job asks for: by runtime, namespace or destination."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, WithJsonSchema

from compressionjob.errors import FieldProblem, InvalidSpec, problems_of
from compressionjob.locations import MAX_LOCATION, Location, parse_location
from compressionjob.mounts import in_claim
from compressionjob.review import ReviewPolicy
from compressionjob.schema import Label, Schema, cel
from compressionjob.spec import CompressionJobSpec

RequiredReview = Literal["Always", "OnInconclusive"]
MAX_RULES: Final = 64

_PREFIX: Final = r"(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|pvc://[a-z0-9][a-z0-9.-]{0,252}|file://)(/[^\s/]+)*/?"
_PREFIX_TEXT: Final = "write the beginning of a location, such as s3://models/production, without '..', '//' or spaces"
_CEL_PREFIX: Final = (
    "self.matches('^(s3://[a-z0-9][a-z0-9.-]+|pvc://[a-z0-9][a-z0-9.-]*|file://)(/[^\\\\s]*)?$') && "
    "!self.matches('(^|/)[.][.]?(/|$)') && !self.substring(7).contains('//')"
)
_STRICTNESS: Final[tuple[ReviewPolicy, ...]] = ("Never", "OnInconclusive", "Always")


def _prefix(text: str) -> str:
    if not re.fullmatch(_PREFIX, text) or re.search(r"/\.\.?(/|$)", text):
        raise ValueError(_PREFIX_TEXT)
    return text


Prefix = Annotated[
    str,
    Field(min_length=6, max_length=MAX_LOCATION),
    AfterValidator(_prefix),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 6,
            "maxLength": MAX_LOCATION,
            "x-kubernetes-validations": [cel(_CEL_PREFIX, _PREFIX_TEXT)],
        }
    ),
]
"""The beginning of a location, in whole parts: s3://models/prod is around s3://models/prod/a, not s3://models/prod2."""


class ReviewRequirement(Schema):
    """A review that jobs must have, whatever their spec.review says."""

    required: RequiredReview = Field(
        default="Always", description="The least that holds; a job may ask for more, never for less."
    )
    separation: bool = Field(
        default=False,
        description="The author's own review does not count. Jobs must name their author in spec.author, which the "
        "chart's admission policy pins to the user who creates the job.",
    )
    destinations: Annotated[list[Prefix], Field(max_length=32)] = Field(
        default=[],
        description="Only for jobs that write to one of these locations, below or around it; for all jobs by default.",
    )

    def applies(self, spec: CompressionJobSpec, claims: Mapping[str, str]) -> bool:
        """Return whether a job writes where this review is required.

        ``claims`` are the claims that the job's runtimes mount, by their paths: file:// and pvc:// name the same files.
        """
        if not self.destinations:
            return True
        written = (parse_location(spec.output.destination), spec.output.reports_location)
        places = [_text(in_claim(location, claims)) for location in (*written, spec.output.checkpoints_location)]
        prefixes = [_text(in_claim(_location(prefix), claims)) for prefix in self.destinations]
        return any(_overlap(place, prefix) for place in places for prefix in prefixes)


def _overlap(place: str, prefix: str) -> bool:
    """Return whether one of two folders is the other or lies within it: what is written around a place reaches it."""
    return f"{place}/".startswith(f"{prefix}/") or f"{prefix}/".startswith(f"{place}/")


class ReviewRule(ReviewRequirement):
    """A review that the operator requires on every runtime, in some or in all namespaces: the chart's value reviews."""

    namespaces: Annotated[list[Label], Field(max_length=256)] = Field(
        default=[], description="Only for jobs in these namespaces; in all of them by default."
    )

    def concerns(self, namespace: str) -> bool:
        """Return whether the rule is about jobs of a namespace."""
        return not self.namespaces or namespace in self.namespaces


def parse_rules(text: str) -> tuple[ReviewRule, ...]:
    """Read rules from JSON.

    Raises InvalidSpec, which names every field that is wrong, its value and the remedy.
    """
    try:
        return _RULES.validate_json(text or "[]")
    except ValidationError as error:
        raise InvalidSpec(problems_of(error, "reviews")) from None


_RULES: Final[TypeAdapter[tuple[ReviewRule, ...]]] = TypeAdapter(
    Annotated[tuple[ReviewRule, ...], Field(max_length=MAX_RULES)]
)


def stricter(one: ReviewPolicy | None, other: ReviewPolicy | None) -> ReviewPolicy:
    """Return the stricter of two rules for reviews; None asks for none."""
    return max(one or "Never", other or "Never", key=_STRICTNESS.index)


def timeout_problems(spec: CompressionJobSpec, required: ReviewPolicy) -> Iterator[FieldProblem]:
    """Return what is wrong where time would approve what a person must decide about."""
    if required != "Never" and spec.review_timeout is not None and spec.on_review_timeout == "Approve":
        remedy = "a person must review this job; write Reject, or leave it out"
        yield FieldProblem("spec.onReviewTimeout", "Approve", remedy)


def author_problems(spec: CompressionJobSpec, *, separation: bool) -> Iterator[FieldProblem]:
    """Return what is wrong where the author must not be the reviewer, and nobody knows the author."""
    if separation and spec.author is None:
        remedy = (
            "the author must not review this job; add your user name (kubectl auth whoami), or use "
            "`kubectl compress submit`, which adds it"
        )
        yield FieldProblem("spec.author", "", remedy, missing=True)


def _location(prefix: str) -> Location:
    scheme, rest = prefix.split("://", 1)
    if scheme == "file":
        return Location("file", "", rest.rstrip("/"))
    container, _, path = rest.rstrip("/").partition("/")
    return Location("s3" if scheme == "s3" else "pvc", container, path)


def _text(location: Location) -> str:
    return str(location).rstrip("/")
