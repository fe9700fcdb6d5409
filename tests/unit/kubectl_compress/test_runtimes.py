"""Checks of a job against the cluster's runtimes, before it is created."""

from typing import Any

import pytest

from compression_operator.loop.reconcile import reconcile
from compressionjob.namespaces import Labels
from kubectl_compress.cluster import Cluster
from kubectl_compress.errors import Forbidden, InvalidManifest
from kubectl_compress.kubectl import Kubectl
from kubectl_compress.manifests import Manifest
from kubectl_compress.runtimes import require_runtimes, runtimes_of
from tests.support.manifests import job
from tests.support.operator import builders


def runtime(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionRuntime",
        "metadata": {"name": name},
        "spec": {"image": "runner:1", **spec},
    }


class WithRuntimes(Cluster):
    """A cluster with these runtimes."""

    def __init__(self, *items: dict[str, Any]) -> None:
        super().__init__(Kubectl((), "ml"))
        self._items = items

    def runtimes(self) -> list[dict[str, Any]]:
        return list(self._items)


class Closed(Cluster):
    """A cluster whose runtimes the user may not read."""

    def runtimes(self) -> list[dict[str, Any]]:
        raise Forbidden('User "bob" cannot list')


def problems(manifest: dict[str, Any], *items: dict[str, Any]) -> list[str]:
    runtimes = runtimes_of(WithRuntimes(*items))
    assert runtimes is not None
    try:
        require_runtimes(Manifest("job.yaml", manifest), runtimes)
    except InvalidManifest as error:
        return [str(problem) for problem in error.problems]
    return []


def test_missing_runtime_lists_the_existing_ones() -> None:
    there = [runtime("cpu-small"), runtime("gpu")]
    assert problems(job(spec__runtime="gpu"), *there) == []
    assert problems(job(spec__runtime="cpu-smal"), *there) == [
        "spec.runtime: there is no CompressionRuntime 'cpu-smal'; there are: cpu-small, gpu; did you mean 'cpu-small'?"
    ]
    assert "there is none yet" in problems(job())[0]
    serving = problems(job(spec__runtime="gpu", spec__sla__runtime="edge"), *there)
    assert serving == ["spec.sla.runtime: there is no CompressionRuntime 'edge'; there are: cpu-small, gpu"]


@pytest.mark.parametrize(
    ("changes", "spec"),
    [
        ({"spec__model__source": "file:///etc"}, {}),
        ({"spec__output__destination": "file:///data/out"}, {"volumes": [
            {"name": "a", "mountPath": "/data", "persistentVolumeClaim": {"claimName": "a"}}
        ]}),
        ({"spec__budget": "5"}, {}),
        ({"spec__benchmark__threads": 8}, {"resources": {"requests": {"cpu": "2"}}}),
        ({
            "spec__pipeline": [{"quantize": {"method": "cast", "dtype": "float16"}}],
            "spec__benchmark": {"engine": "onnxruntime-cuda"},
        }, {}),
    ],
)  # fmt: skip
def test_submit_refuses_like_the_operator(changes: dict[str, Any], spec: dict[str, Any]) -> None:
    given = job(**changes)
    text = problems(given, runtime("cpu", **spec))
    assert text
    record = builders.job(**changes)
    observed = builders.observe(record.begin("Run", "cpu"), on=builders.runtime("cpu", measuring={}, **spec))
    plan = reconcile(observed, builders.NOW)
    assert plan.status is not None
    for problem in text:
        assert problem in plan.status["message"]


def test_unreadable_runtimes_are_not_checked() -> None:
    assert runtimes_of(Closed(Kubectl((), "ml"))) is None


def test_unknown_runtime_version_is_not_checked() -> None:
    assert problems(job(spec__budget="5"), runtime("cpu", turbo=True)) == []


def refusals(namespace: str, labels: Labels | None, **spec: Any) -> list[str]:
    runtimes = runtimes_of(WithRuntimes(runtime("cpu", **spec)))
    assert runtimes is not None
    manifest = Manifest("job.yaml", job(spec__deadline="2h", spec__author="ada"))
    try:
        require_runtimes(manifest, runtimes, namespace, lambda _: labels)
    except InvalidManifest as error:
        return [str(problem) for problem in error.problems]
    return []


def test_a_runtime_of_other_namespaces_is_refused_where_that_is_known() -> None:
    named, chosen = {"names": ["team-a"]}, {"selector": {"matchLabels": {"tenant": "ml"}}}
    assert refusals("team-a", None, allowedNamespaces=named) == []
    assert "'cpu' does not allow the namespace team-b" in refusals("team-b", None, allowedNamespaces=named)[0]
    assert refusals("team-b", {"tenant": "ml"}, allowedNamespaces=chosen) == []
    assert refusals("team-b", {}, allowedNamespaces=chosen)[0].startswith("spec.runtime: the CompressionRuntime 'cpu'")
    assert (
        refusals("team-b", None, allowedNamespaces=chosen) == []
    )  # the user may not read labels: the operator decides


def test_more_than_a_runtime_allows_is_refused() -> None:
    assert refusals("team-a", None, limits={"deadline": "2h"}) == []
    (text,) = refusals("team-a", None, limits={"deadline": "1h"})
    assert text.startswith("spec.deadline: '2h' is not valid: the CompressionRuntime 'cpu' allows at most 1h")


def test_the_labels_of_a_namespace_are_read_where_the_user_may() -> None:
    class Reading(Kubectl):
        def run(self, *arguments: str, stdin: str | None = None) -> str:
            if arguments[-1].endswith("/team-b"):
                raise Forbidden("namespaces")
            assert arguments == ("get", "--raw", "/api/v1/namespaces/team-a")
            return '{"metadata": {"labels": {"tenant": "ml"}}}'

    cluster = Cluster(Reading((), "ml"))
    assert cluster.labels_of("team-a") == {"tenant": "ml"}
    assert cluster.labels_of("team-b") is None
