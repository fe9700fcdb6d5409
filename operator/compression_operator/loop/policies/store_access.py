"""The CompressionStores of a job: access checks, and the connections that it keeps until it ends."""

from compression_operator.loop.draft import Draft
from compression_operator.loop.refusal import refuse, wait
from compressionjob.conditions import INVALID_STORE
from compressionjob.spec import CompressionJobSpec
from compressionjob.store_access import REFUSED, StoreProblem, named_stores, store_problems
from compressionjob.stores import ResolvedStore, StoreConnection


def check(draft: Draft, spec: CompressionJobSpec) -> bool:
    """Return whether the stores allow the job; otherwise refuse it, or let it wait for a store."""
    problems = _problems(draft, spec)
    if not problems:
        return True
    first, *more = problems
    message = _message(draft, first) + (f" (and {len(more)} more)" if more else "")
    (refuse if first.reason in REFUSED else wait)(draft, first.reason, message)
    return False


def obstacle(draft: Draft, spec: CompressionJobSpec) -> str:
    """Return why the stores do not allow an ended job to remove its files; "" if they do."""
    problems = _problems(draft, spec)
    return _message(draft, problems[0]) if problems else ""


def _problems(draft: Draft, spec: CompressionJobSpec) -> list[StoreProblem]:
    stores = {name: record.spec for name, record in draft.observed.stores.items()}
    return list(store_problems(spec, stores, begun=draft.before.children_created > 0))


def resolved(draft: Draft, spec: CompressionJobSpec) -> dict[str, ResolvedStore]:
    """Return the stores that a job names, with their connections at its begin and their present locations."""
    began = {connection.name: connection for connection in draft.before.stores}
    stores = {}
    for name in named_stores(spec).values():
        store = draft.observed.stores[name].spec
        assert store is not None, "check has let it pass"
        stores[name] = ResolvedStore(began.get(name) or StoreConnection.of(name, store), tuple(store.locations))
    return stores


def _message(draft: Draft, item: StoreProblem) -> str:
    if item.reason != INVALID_STORE:
        return str(item.problem)
    causes = (record.problem for record in draft.observed.stores.values() if repr(record.name) in item.problem.remedy)
    return f"{item.problem}: {next(causes, '')}"
