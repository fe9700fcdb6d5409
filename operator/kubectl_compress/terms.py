"""Checks of a job against the terms of its runtimes, before it is created: namespace, limits, review."""

from collections.abc import Callable, Iterator, Mapping

from compressionjob.errors import FieldProblem
from compressionjob.namespaces import Labels
from compressionjob.review_rules import timeout_problems
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import CompressionJobSpec
from compressionjob.terms import checkpoint_problems, limit_problems, not_allowed, terms_of


def term_problems(
    spec: CompressionJobSpec,
    runtimes: Mapping[str, tuple[str, CompressionRuntimeSpec]],
    namespace: str,
    labels_of: Callable[[str], Labels | None],
) -> Iterator[FieldProblem]:
    """Yield the problems for which the operator would refuse the job; ``runtimes`` are by the field that names them.

    ``labels_of`` reads the labels of a namespace, or returns None if the user may not: then only the operator checks
    selectors. Only the operator checks the rules of the chart, too, since only it knows them.
    """
    for field, (name, runtime) in runtimes.items():
        yield from limit_problems(spec, name, runtime)
        refusal = _refusal(name, runtime, namespace, labels_of)
        if refusal is not None:
            yield FieldProblem(field, "", refusal)
    specs = [runtime for _, runtime in runtimes.values()]
    yield from checkpoint_problems(spec, namespace, specs)
    terms = terms_of(spec, namespace, specs)
    if terms is not None:
        yield from timeout_problems(spec, terms.review)


def _refusal(
    name: str, runtime: CompressionRuntimeSpec, namespace: str, labels_of: Callable[[str], Labels | None]
) -> str | None:
    allowed = runtime.allowed_namespaces
    if not namespace or allowed is None or namespace in allowed.names:
        return None
    labels: Labels | None = {}
    if allowed.selector is not None:
        labels = labels_of(namespace)
    return None if labels is None else not_allowed(name, runtime, namespace, labels)
