"""Submit reports problems with stores in the operator's words."""

from typing import Any

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.store import StoreRecord
from kubectl_compress.cluster import Cluster
from kubectl_compress.errors import Forbidden, InvalidManifest, NotFound
from kubectl_compress.kubectl import Kubectl
from kubectl_compress.manifests import Manifest
from kubectl_compress.stores import require_stores, stores_of
from tests.support.manifests import job
from tests.support.operator import builders
from tests.support.operator.raw import raw_store

IN_STORE: dict[str, Any] = {"spec__storage": {"store": "team-a"}}


class WithStores(Cluster):
    """A cluster with these stores in every namespace, or one that does not show them."""

    def __init__(self, *items: dict[str, Any], error: Exception | None = None) -> None:
        super().__init__(Kubectl((), "ml"))
        self._items = items
        self._error = error

    def stores(self, namespace: str) -> list[dict[str, Any]]:
        if self._error is not None:
            raise self._error
        return list(self._items)


def problems(manifest: dict[str, Any], *items: dict[str, Any]) -> list[str]:
    stores = stores_of(WithStores(*items), "ml")
    assert stores is not None
    try:
        require_stores(Manifest("job.yaml", manifest), stores)
    except InvalidManifest as error:
        return [str(problem) for problem in error.problems]
    return []


def test_job_without_stores_is_unchanged() -> None:
    assert problems(job()) == []


def test_submit_refuses_like_the_operator() -> None:
    record = StoreRecord.of(raw_store())
    for changes in ({}, IN_STORE | {"spec__model__source": "s3://others/x"}, {"spec__storage": {"store": "team-b"}}):
        text = problems(job(**changes), raw_store())
        assert text
        plan = reconcile(builders.observe(builders.job(**changes), stores={"team-a": record}), builders.NOW)
        assert plan.status is not None
        assert plan.status["message"].startswith(text[0])
    assert problems(job(**IN_STORE), raw_store()) == []


def test_missing_store_lists_the_existing_ones() -> None:
    assert problems(job(**IN_STORE), raw_store("team-c"), raw_store("shared")) == [
        "spec.storage.store: there is no CompressionStore 'team-a' in this namespace; there are: shared, team-c; "
        "did you mean 'team-c'?"
    ]


def test_unreadable_stores_are_not_checked() -> None:
    for error in (Forbidden('User "bob" cannot list'), NotFound("the server could not find the requested resource")):
        assert stores_of(WithStores(error=error), "ml") is None


def test_unknown_store_version_is_not_checked() -> None:
    assert problems(job(**IN_STORE), raw_store(shards=3)) == []
