"""What the runtimes of a job require of it, checked before it is created: namespace, limits, review."""

from collections.abc import Callable, Iterator, Mapping

from compressionjob.errors import FieldProblem
from compressionjob.namespaces import Labels
from compressionjob.review_rules import timeout_problems
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import CompressionJobSpec
from compressionjob.terms import limit_problems, not_allowed, terms_of


def term_problems(
    spec: CompressionJobSpec,
    runtimes: Mapping[str, tuple[str, CompressionRuntimeSpec]],
    namespace: str,
    labels_of: Callable[[str], Labels | None],
) -> Iterator[FieldProblem]:
    """Return what the operator would refuse: ``runtimes`` are those of the job by the field that names them.

    ``labels_of`` reads the labels of a namespace, and gives None where the user may not: then the operator decides
    alone about selectors. So it does about the rules of the chart, which nobody but the operator knows.
    """
    for field, (name, runtime) in runtimes.items():
        yield from limit_problems(spec, name, runtime)
        refusal = _refusal(name, runtime, namespace, labels_of)
        if refusal is not None:
            yield FieldProblem(field, "", refusal)
    terms = terms_of(spec, namespace, [runtime for _, runtime in runtimes.values()])
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
