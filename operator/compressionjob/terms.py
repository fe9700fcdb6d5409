"""What the platform team requires of a job: fixed in its status when it is accepted."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from compressionjob.errors import FieldProblem
from compressionjob.namespaces import Labels
from compressionjob.objectives import sets_limits
from compressionjob.placement import mounted_claims
from compressionjob.review import ReviewPolicy
from compressionjob.review_rules import ReviewRequirement, ReviewRule, author_problems, stricter, timeout_problems
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.runtime_limits import AcceptedSettings, JobSettings, first_defaults, lowest_limits, over
from compressionjob.schema import Observed
from compressionjob.spec import CompressionJobSpec


class Terms(Observed):
    """The terms on which a job was accepted. A later change of its runtimes, or of the chart, does not change them."""

    defaults: AcceptedSettings | None = Field(default=None, description="What holds where the job sets nothing.")
    limits: AcceptedSettings | None = Field(default=None, description="What holds where the job sets more.")
    review: ReviewPolicy = Field(default="Never", description="The review that holds, where spec.review asks for less.")
    separation: bool = Field(default=False, description="Whether the author's own review does not count.")


def terms_of(
    spec: CompressionJobSpec,
    namespace: str,
    runtimes: Sequence[CompressionRuntimeSpec],
    rules: Sequence[ReviewRule] = (),
) -> Terms | None:
    """Return the terms for a job on its runtimes, the one that compresses first; None where there are none."""
    claims = {path: claim for runtime in runtimes for path, claim in mounted_claims(runtime).items()}
    offered: list[ReviewRequirement] = [runtime.review for runtime in runtimes if runtime.review is not None]
    offered += [rule for rule in rules if rule.concerns(namespace)]
    required = [item for item in offered if item.applies(spec, claims)]
    review: ReviewPolicy = "Never"
    for item in required:
        review = stricter(review, item.required)
    if review == "OnInconclusive" and _publishes_without_a_pass(spec):
        # The author would decide that nothing is ever open.
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


def _publishes_without_a_pass(spec: CompressionJobSpec) -> bool:
    """Return whether a job publishes what has no limits to keep, or does not keep them."""
    return spec.sla.on_violation == "Alert" or not sets_limits({"sla": spec.sla.to_json()})


def limit_problems(spec: CompressionJobSpec, name: str, runtime: CompressionRuntimeSpec) -> Iterator[FieldProblem]:
    """Return the settings of a job that are over the limits of a runtime."""
    for field, value, limit in over(spec, runtime.limits or JobSettings()):
        remedy = f"the CompressionRuntime {name!r} allows at most {limit}; write {limit} or less, or leave it out"
        yield FieldProblem(f"spec.{field}", value, remedy)


def review_problems(spec: CompressionJobSpec, terms: Terms) -> Iterator[FieldProblem]:
    """Return what in a job is against the review that it must have."""
    yield from timeout_problems(spec, terms.review)
    yield from author_problems(spec, separation=terms.separation)


def unpriced_budget(runtimes: Mapping[str, CompressionRuntimeSpec], terms: Terms | None) -> str | None:
    """Return what is wrong where a runtime gives the job a budget, and one of its runtimes has no price."""
    given = terms is not None and any(it is not None and it.budget is not None for it in (terms.defaults, terms.limits))
    name = next((name for name, runtime in runtimes.items() if runtime.price_per_hour is None), None)
    if not given or name is None:
        return None
    return (
        f"the CompressionRuntime {name!r} has no pricePerHour, and a runtime of the job sets defaults.budget or "
        "limits.budget; let the platform team set the price"
    )


def not_allowed(name: str, runtime: CompressionRuntimeSpec, namespace: str, labels: Labels | None) -> str | None:
    """Return why a namespace may not use a runtime, with the remedy; None where it may.

    ``labels`` are those of the namespace, None where they are not known.
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
