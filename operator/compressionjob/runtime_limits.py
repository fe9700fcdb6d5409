"""Defaults and limits of a CompressionRuntime for settings of jobs."""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from compressionjob.errors import FieldProblem
from compressionjob.field_types import Duration, Positive, Schema, TolerantSchema, cel, parse_duration

MAX_INTERRUPTIONS: Final = 1000

Retries = Annotated[int, Field(ge=0, le=20)]
Interruptions = Annotated[int, Field(ge=0, le=MAX_INTERRUPTIONS)]


class JobSettings(Schema):
    """Settings of jobs: the defaults or the limits of a runtime."""

    deadline: Duration | None = Field(default=None, description="Longest time from start to end, without pauses.")
    budget: Positive | None = Field(default=None, description="Largest cost of the pods of one job.")
    ttl: Duration | None = Field(default=None, description="Time to keep a job after it has ended.")
    retries: Retries | None = Field(default=None, description="Number of retries after a temporary failure.")
    max_interruptions: Interruptions | None = Field(
        default=None, description="Number of times that a job may lose its pod to preemption, eviction or its queue."
    )


class AcceptedSettings(JobSettings):
    """JobSettings in a status, which another version may have written."""

    model_config = ConfigDict(**TolerantSchema.model_config)


Value = Duration | float | int
_COMPARABLE: Final[dict[str, Callable[[str | float], float]]] = {
    "deadline": lambda value: parse_duration(str(value)),
    "budget": float,
    "ttl": lambda value: parse_duration(str(value)),
    "retries": float,
    "max_interruptions": float,
}
"""Name of each setting -> function that makes its values comparable."""
SETTINGS: Final = tuple(_COMPARABLE)

_DURATIONS: Final = "duration(string(self.{0}.{2})) <= duration(string(self.{1}.{2}))"
_CEL: Final = {
    "deadline": _DURATIONS,
    "ttl": _DURATIONS,
    "budget": "double(string(self.{0}.{2})) <= double(string(self.{1}.{2}))",
    "retries": "self.{0}.{2} <= self.{1}.{2}",
    "maxInterruptions": "self.{0}.{2} <= self.{1}.{2}",
}
DEFAULT_OVER_LIMIT: Final = "a default must not exceed its limit; lower it in defaults, or raise it in limits"
LIMIT_RULES: Final = [
    cel(
        f"!has(self.defaults) || !has(self.limits) || !has(self.defaults.{name}) || !has(self.limits.{name}) || "
        + rule.format("defaults", "limits", name),
        f"defaults.{name}: {DEFAULT_OVER_LIMIT}",
        fieldPath=".defaults",
    )
    for name, rule in _CEL.items()
]
"""CEL rules that no default exceeds its limit."""


def field_of(name: str) -> str:
    """Return the name of a setting in a manifest."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def exceeded(settings: Schema, limits: JobSettings) -> Iterator[tuple[str, str, str]]:
    """Yield each setting that exceeds its limit: its field, its value, and the limit.

    ``settings`` has the fields of JobSettings, such as the spec of a job.
    """
    for name, comparable in _COMPARABLE.items():
        value, limit = getattr(settings, name), getattr(limits, name)
        if value is not None and limit is not None and comparable(value) > comparable(limit):
            yield field_of(name), _format_value(value), _format_value(limit)


def default_problems(defaults: JobSettings, limits: JobSettings) -> Iterator[FieldProblem]:
    """Yield the defaults of a runtime that exceed their limits."""
    for field, value, limit in exceeded(defaults, limits):
        yield FieldProblem(f"spec.defaults.{field}", value, f"spec.limits.{field} is {limit}; {DEFAULT_OVER_LIMIT}")


def first_defaults(settings_of_runtimes: Iterable[JobSettings]) -> AcceptedSettings:
    """Return for each setting the first default that is set."""
    settings_of_runtimes = tuple(settings_of_runtimes)
    return AcceptedSettings(
        **{
            name: next((value for it in settings_of_runtimes if (value := getattr(it, name)) is not None), None)
            for name in SETTINGS
        }
    )


def lowest_limits(settings_of_runtimes: Iterable[JobSettings]) -> AcceptedSettings:
    """Return for each setting the lowest limit."""
    settings_of_runtimes = tuple(settings_of_runtimes)
    lowest = {}
    for name, comparable in _COMPARABLE.items():
        values = [value for it in settings_of_runtimes if (value := getattr(it, name)) is not None]
        lowest[name] = min(values, key=comparable) if values else None
    return AcceptedSettings(**lowest)


def _format_value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
