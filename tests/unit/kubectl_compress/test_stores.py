"""What the stores of a namespace do not allow is said by submit, in the operator's words."""

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


def test_without_stores_a_job_is_as_before() -> None:
    assert problems(job()) == []


def test_what_the_operator_refuses_is_refused_in_the_same_words() -> None:
    record = StoreRecord.of(raw_store())
    for changes in ({}, IN_STORE | {"spec__model__source": "s3://others/x"}, {"spec__storage": {"store": "team-b"}}):
        said = problems(job(**changes), raw_store())
        assert said
        plan = reconcile(builders.observe(builders.job(**changes), stores={"team-a": record}), builders.NOW)
        assert plan.status is not None
        assert plan.status["message"].startswith(said[0])
    assert problems(job(**IN_STORE), raw_store()) == []


def test_a_store_that_is_not_there_comes_with_those_that_are() -> None:
    assert problems(job(**IN_STORE), raw_store("team-c"), raw_store("shared")) == [
        "spec.storage.store: there is no CompressionStore 'team-a' in this namespace; there are: shared, team-c; "
        "did you mean 'team-c'?"
    ]


def test_who_may_not_read_stores_leaves_them_to_the_operator() -> None:
    for error in (Forbidden('User "bob" cannot list'), NotFound("the server could not find the requested resource")):
        assert stores_of(WithStores(error=error), "ml") is None


def test_a_store_of_a_later_version_is_not_judged() -> None:
    assert problems(job(**IN_STORE), raw_store(shards=3)) == []
