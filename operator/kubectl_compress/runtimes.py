"""Checks of a job against the cluster's runtimes, before it is created."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from compressionjob.errors import FieldProblem, InvalidSpec
from compressionjob.namespaces import Labels
from compressionjob.placement import misplaced_files, missing_price, no_gpu, no_such_runtime, too_many_threads
from compressionjob.retention import too_long
from compressionjob.runtime import CompressionRuntimeSpec, parse_runtime
from compressionjob.spec import CompressionJobSpec, parse_job
from kubectl_compress.cluster import Cluster
from kubectl_compress.errors import Forbidden, InvalidManifest
from kubectl_compress.manifests import Manifest
from kubectl_compress.terms import term_problems

Runtimes = Mapping[str, CompressionRuntimeSpec | None]
"""Spec of each runtime by name; None if this version cannot read it."""


def runtimes_of(cluster: Cluster) -> Runtimes | None:
    """Return the cluster's runtimes; None if the user may not read them: then only the operator checks."""
    try:
        items = cluster.runtimes()
    except Forbidden:
        return None
    return {str(item["metadata"]["name"]): _spec(item) for item in items}


def _spec(item: dict[str, Any]) -> CompressionRuntimeSpec | None:
    try:
        return parse_runtime(item).spec
    except InvalidSpec:
        return None


def require_runtimes(
    manifest: Manifest,
    runtimes: Runtimes,
    namespace: str = "",
    labels_of: Callable[[str], Labels | None] = lambda _: None,
) -> None:
    """Raise InvalidManifest if the operator would refuse the job, or let it wait for ever, on these runtimes.

    ``namespace`` is the job's namespace, and ``labels_of`` reads the labels of a namespace, if the user may.
    """
    spec = parse_job(manifest.named).spec
    problems = list(dict.fromkeys(_problems(spec, runtimes, namespace, labels_of)))
    if problems:
        raise InvalidManifest(manifest.origin, problems)


def _problems(
    spec: CompressionJobSpec, runtimes: Runtimes, namespace: str, labels_of: Callable[[str], Labels | None]
) -> Iterator[FieldProblem]:
    names = {"spec.runtime": spec.runtime}
    if spec.sla.runtime is not None:
        names["spec.sla.runtime"] = spec.sla.runtime
    elif (compresses := runtimes.get(spec.runtime)) is not None and compresses.measuring.runtime:
        names[f"spec.measuring.runtime of the CompressionRuntime {spec.runtime!r}"] = compresses.measuring.runtime
    *_, measuring = names.values()
    known = {field: (name, there) for field, name in names.items() if (there := runtimes.get(name)) is not None}
    for field, name in names.items():
        if name not in runtimes:
            yield FieldProblem(field, "", no_such_runtime(name, runtimes))
            continue
        runtime = runtimes[name]
        if runtime is None:
            continue
        yield from misplaced_files(spec, name, runtime)
        if runtime.price_per_hour is None:
            unpriced = missing_price(spec, name, measures=name == measuring)
            yield from [unpriced] if unpriced is not None else []
        if name == spec.runtime:
            yield from too_long(spec.retention, name, runtime.retention)
        if name == measuring:
            yield from too_many_threads(spec, name, runtime)
            yield from no_gpu(spec, name, runtime)
    yield from term_problems(spec, known, namespace, labels_of)
