"""Reviews that the platform team requires by runtime, namespace or destination."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, WithJsonSchema

from compressionjob.errors import FieldProblem, InvalidSpec, problems_of
from compressionjob.field_types import Label, Schema, cel
from compressionjob.locations import MAX_LOCATION, Location, parse_location
from compressionjob.mounts import in_claim
from compressionjob.review import ReviewPolicy
from compressionjob.spec import CompressionJobSpec

RequiredReview = Literal["Always", "OnInconclusive"]
MAX_RULES: Final = 64

_PREFIX: Final = r"(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|pvc://[a-z0-9][a-z0-9.-]{0,252}|file://)(/[^\s/]+)*/?"
_PREFIX_TEXT: Final = "write the start of a location, such as s3://models/production, without '..', '//' or spaces"
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
"""The start of a location, in whole names: s3://models/prod contains s3://models/prod/a, not s3://models/prod2."""


class ReviewRequirement(Schema):
    """A review that jobs must have, whatever their spec.review is."""

    required: RequiredReview = Field(
        default="Always", description="Minimum policy. A job may set a stricter one, but not a weaker one."
    )
    separation: bool = Field(
        default=False,
        description="The author cannot review their own job. Jobs must name their author in spec.author, and the "
        "chart's admission policy checks that it is the user who creates the job.",
    )
    destinations: Annotated[list[Prefix], Field(max_length=32)] = Field(
        default=[],
        description="Only for jobs that write to one of these locations, below or above it; for all jobs by default.",
    )

    def applies(self, spec: CompressionJobSpec, claims: Mapping[str, str]) -> bool:
        """Return whether a job writes where this review is required.

        ``claims`` maps mount paths of the job's runtimes to claims, since file:// and pvc:// may name the same files.
        """
        if not self.destinations:
            return True
        output, endpoint = spec.output, spec.storage_of(spec.output).endpoint
        written = (parse_location(output.destination), output.reports_location, output.checkpoints_location)
        places = [_text(name) for location in written for name in _names(in_claim(location, claims), endpoint)]
        prefixes = [_text(in_claim(_location(prefix), claims)) for prefix in self.destinations]
        return any(_overlap(place, prefix) for place in places for prefix in prefixes)

    def checkpoint_problems(self, spec: CompressionJobSpec, claims: Mapping[str, str]) -> Iterator[FieldProblem]:
        """Return what is wrong where a job would write checkpoints, which have no review, among reviewed models."""
        location, endpoint = spec.output.checkpoints_location, spec.storage_of(spec.output).endpoint
        places = [_text(name) for name in _names(in_claim(location, claims), endpoint)]
        for prefix in self.destinations:
            if any(_within(place, _text(in_claim(_location(prefix), claims))) for place in places):
                remedy = f"{prefix} requires a review, and checkpoints have none; name a folder outside of it"
                yield FieldProblem("spec.output.checkpoints", str(location), remedy)
                return


def _names(location: Location, endpoint: str | None) -> Iterator[Location]:
    """Return a location, and what it may be where the host of the endpoint begins with the name of a bucket.

    At https://prod.s3.example.com a server may take s3://a/b for the key a/b of the bucket prod.
    """
    yield location
    labels = (urlsplit(endpoint or "").hostname or "").split(".") if location.scheme == "s3" else []
    for count in range(1, len(labels)):
        yield Location("s3", ".".join(labels[:count]), f"{location.container}/{location.path}")


def _overlap(place: str, prefix: str) -> bool:
    """Return whether two folders are the same or one contains the other."""
    return _within(place, prefix) or _within(prefix, place)


def _within(place: str, prefix: str) -> bool:
    """Return whether a folder is another one or lies within it; names are compared whole."""
    return f"{place}/".startswith(f"{prefix}/")


class ReviewRule(ReviewRequirement):
    """A review that the operator requires on every runtime, in some or all namespaces (``reviews`` in the chart)."""

    namespaces: Annotated[list[Label], Field(max_length=256)] = Field(
        default=[], description="Only for jobs in these namespaces; in all namespaces by default."
    )

    def applies_to(self, namespace: str) -> bool:
        """Return whether the rule applies to jobs of a namespace."""
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
    """Return the stricter of two review policies; None counts as Never."""
    return max(one or "Never", other or "Never", key=_STRICTNESS.index)


def timeout_problems(spec: CompressionJobSpec, required: ReviewPolicy) -> Iterator[FieldProblem]:
    """Yield onReviewTimeout: Approve for a job that a person must review."""
    if required != "Never" and spec.review_timeout is not None and spec.on_review_timeout == "Approve":
        remedy = "a person must review this job; write Reject, or leave it out"
        yield FieldProblem("spec.onReviewTimeout", "Approve", remedy)


def author_problems(spec: CompressionJobSpec, *, separation: bool) -> Iterator[FieldProblem]:
    """Yield the missing author of a job that its author must not review."""
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
