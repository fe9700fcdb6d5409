"""Requirements of the platform team for a job. The status keeps those that held when the job was accepted."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from pydantic import Field

from compressionjob.errors import FieldProblem
from compressionjob.field_types import TolerantSchema
from compressionjob.namespaces import Labels
from compressionjob.objectives import sets_limits
from compressionjob.placement import mounted_claims
from compressionjob.review import ReviewPolicy
from compressionjob.review_rules import ReviewRequirement, ReviewRule, author_problems, stricter, timeout_problems
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.runtime_limits import AcceptedSettings, JobSettings, exceeded, first_defaults, lowest_limits
from compressionjob.spec import CompressionJobSpec


class Terms(TolerantSchema):
    """The terms on which a job was accepted. Later changes of runtimes or the chart do not affect them."""

    defaults: AcceptedSettings | None = Field(
        default=None, description="Settings that apply if the job does not set them."
    )
    limits: AcceptedSettings | None = Field(default=None, description="Limits of the job's settings.")
    review: ReviewPolicy = Field(default="Never", description="Review policy, unless spec.review is stricter.")
    separation: bool = Field(default=False, description="Whether the author cannot review the job.")


def terms_of(
    spec: CompressionJobSpec,
    namespace: str,
    runtimes: Sequence[CompressionRuntimeSpec],
    rules: Sequence[ReviewRule] = (),
) -> Terms | None:
    """Return the terms for a job on its runtimes, the compressing runtime first; None where there are none."""
    mounts = _mounts(runtimes)
    items = _requirements(namespace, runtimes, rules)
    required = [item for item in items if any(item.applies(spec, claims) for claims in mounts)]
    review: ReviewPolicy = "Never"
    for item in required:
        review = stricter(review, item.required)
    if review == "OnInconclusive" and _publishes_without_a_pass(spec):
        # Otherwise the author could avoid the review, since such a job publishes without an Inconclusive.
        review = "Always"
    defaults = first_defaults(runtime.defaults or JobSettings() for runtime in runtimes)
    limits = lowest_limits(runtime.limits or JobSettings() for runtime in runtimes)
    terms = Terms(
        defaults=defaults if defaults != AcceptedSettings() else None,
        limits=limits if limits != AcceptedSettings() else None,
        review=review,
        separation=any(item.separation for item in required),
    )
    return terms if terms != Terms() else None


def _mounts(runtimes: Sequence[CompressionRuntimeSpec]) -> list[dict[str, str]]:
    """Return the mounted claims of each runtime: two runtimes may mount different claims at one path."""
    return [mounted_claims(runtime) for runtime in runtimes] or [{}]


def _requirements(
    namespace: str, runtimes: Sequence[CompressionRuntimeSpec], rules: Sequence[ReviewRule]
) -> list[ReviewRequirement]:
    of_runtimes = [runtime.review for runtime in runtimes if runtime.review is not None]
    return [*of_runtimes, *(rule for rule in rules if rule.applies_to(namespace))]


def _publishes_without_a_pass(spec: CompressionJobSpec) -> bool:
    """Return whether a job publishes models without limits, or models that break them."""
    return spec.sla.on_violation == "Alert" or not sets_limits({"sla": spec.sla.to_json()})


def limit_problems(spec: CompressionJobSpec, name: str, runtime: CompressionRuntimeSpec) -> Iterator[FieldProblem]:
    """Yield the settings of a job that exceed the limits of a runtime."""
    for field, value, limit in exceeded(spec, runtime.limits or JobSettings()):
        remedy = f"the CompressionRuntime {name!r} allows at most {limit}; write {limit} or less, or leave it out"
        yield FieldProblem(f"spec.{field}", value, remedy)


def review_problems(spec: CompressionJobSpec, terms: Terms) -> Iterator[FieldProblem]:
    """Yield settings of a job that contradict its required review."""
    yield from timeout_problems(spec, terms.review)
    yield from author_problems(spec, separation=terms.separation)


def checkpoint_problems(
    spec: CompressionJobSpec,
    namespace: str,
    runtimes: Sequence[CompressionRuntimeSpec],
    rules: Sequence[ReviewRule] = (),
) -> Iterator[FieldProblem]:
    """Return what is wrong where checkpoints would lie at a destination that requires a review."""
    problems = (
        it.checkpoint_problems(spec, claims)
        for it in _requirements(namespace, runtimes, rules)
        for claims in _mounts(runtimes)
    )
    yield from dict.fromkeys(chain.from_iterable(problems))


def unpriced_budget(runtimes: Mapping[str, CompressionRuntimeSpec], terms: Terms | None) -> str | None:
    """Return the message for a budget from a runtime when a runtime of the job has no price; None otherwise."""
    given = terms is not None and any(it is not None and it.budget is not None for it in (terms.defaults, terms.limits))
    name = next((name for name, runtime in runtimes.items() if runtime.price_per_hour is None), None)
    if not given or name is None:
        return None
    return (
        f"the CompressionRuntime {name!r} has no pricePerHour, and a runtime of the job sets defaults.budget or "
        "limits.budget; ask the platform team to set the price"
    )


def not_allowed(name: str, runtime: CompressionRuntimeSpec, namespace: str, labels: Labels | None) -> str | None:
    """Return why a namespace may not use a runtime, with the remedy; None where it may.

    ``labels`` are those of the namespace, None if unknown.
    """
    allowed = runtime.allowed_namespaces
    if allowed is None or allowed.allows(namespace, labels):
        return None
    reason = ""
    if allowed.selector is not None and labels is None:
        reason = " by name (the labels of namespaces are not read here, so its selector does not count)"
    return (
        f"the CompressionRuntime {name!r} does not allow the namespace {namespace}{reason}; use another "
        "runtime, or ask the platform team to add it to spec.allowedNamespaces"
    )
