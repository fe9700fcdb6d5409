"""The settings of jobs that a CompressionRuntime gives a default and a maximum, and what holds for one job."""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from compressionjob.errors import FieldProblem
from compressionjob.schema import Duration, Observed, Positive, Schema, cel, parse_duration

MAX_INTERRUPTIONS: Final = 1000

Retries = Annotated[int, Field(ge=0, le=20)]
Interruptions = Annotated[int, Field(ge=0, le=MAX_INTERRUPTIONS)]


class JobSettings(Schema):
    """Settings of jobs: the defaults or the maxima that a runtime gives them."""

    deadline: Duration | None = Field(default=None, description="Longest time from start to end, pauses not counted.")
    budget: Positive | None = Field(default=None, description="Most that the pods of one job may cost.")
    ttl: Duration | None = Field(default=None, description="How long a job is kept once it has ended.")
    retries: Retries | None = Field(default=None, description="How often a failure that may pass is tried again.")
    max_interruptions: Interruptions | None = Field(
        default=None, description="How often a job may lose its pod to preemption, eviction or its queue."
    )


class AcceptedSettings(JobSettings):
    """The same in a status, which another version may have written."""

    model_config = ConfigDict(**Observed.model_config)


Value = Duration | float | int
_SIZES: Final[dict[str, Callable[[str | float], float]]] = {
    "deadline": lambda value: parse_duration(str(value)),
    "budget": float,
    "ttl": lambda value: parse_duration(str(value)),
    "retries": float,
    "max_interruptions": float,
}
"""The names of all settings, each with what makes its values comparable."""
SETTINGS: Final = tuple(_SIZES)

_DURATIONS: Final = "duration(string(self.{0}.{2})) <= duration(string(self.{1}.{2}))"
_CEL: Final = {
    "deadline": _DURATIONS,
    "ttl": _DURATIONS,
    "budget": "double(string(self.{0}.{2})) <= double(string(self.{1}.{2}))",
    "retries": "self.{0}.{2} <= self.{1}.{2}",
    "maxInterruptions": "self.{0}.{2} <= self.{1}.{2}",
}
DEFAULT_OVER_LIMIT: Final = "a default must not be over its limit; lower it in defaults, or raise it in limits"
LIMIT_RULES: Final = [
    cel(
        f"!has(self.defaults) || !has(self.limits) || !has(self.defaults.{name}) || !has(self.limits.{name}) || "
        + rule.format("defaults", "limits", name),
        f"defaults.{name}: {DEFAULT_OVER_LIMIT}",
        fieldPath=".defaults",
    )
    for name, rule in _CEL.items()
]
"""The API server's rules that no default is over its limit."""


def field_of(name: str) -> str:
    """Return the name of a setting in a manifest."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def over(settings: Schema, limits: JobSettings) -> Iterator[tuple[str, str, str]]:
    """Return each setting that is over its limit: its field, its value, and the limit.

    ``settings`` is whatever has the fields of JobSettings, such as the spec of a job.
    """
    for name, size in _SIZES.items():
        value, limit = getattr(settings, name), getattr(limits, name)
        if value is not None and limit is not None and size(value) > size(limit):
            yield field_of(name), _written(value), _written(limit)


def default_problems(defaults: JobSettings, limits: JobSettings) -> Iterator[FieldProblem]:
    """Return what is wrong with defaults over their limits, in a runtime."""
    for field, value, limit in over(defaults, limits):
        yield FieldProblem(f"spec.defaults.{field}", value, f"spec.limits.{field} is {limit}; {DEFAULT_OVER_LIMIT}")


def first_defaults(offers: Iterable[JobSettings]) -> AcceptedSettings:
    """Return for each setting the default of the first that has one."""
    offers = tuple(offers)
    return AcceptedSettings(
        **{name: next((value for it in offers if (value := getattr(it, name)) is not None), None) for name in SETTINGS}
    )


def lowest_limits(offers: Iterable[JobSettings]) -> AcceptedSettings:
    """Return for each setting the lowest limit."""
    offers = tuple(offers)
    found = {}
    for name, size in _SIZES.items():
        values = [value for it in offers if (value := getattr(it, name)) is not None]
        found[name] = min(values, key=size) if values else None
    return AcceptedSettings(**found)


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
