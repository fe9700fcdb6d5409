"""An author with no rights but those on CompressionJobs tries to move Secrets and other tenants' data.

Each attempt is refused with a message: by the API server, by the operator before there is a pod, or by the pod before
it sends a request. Two namespaces: `tenancy` has CompressionStores, and `tenancy-open` has none.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from tests.e2e.harness import Job, Namespace
from tests.e2e.jobs import BUCKET, objects, text_job
from tests.e2e.tenants import AUTHOR, CLOSED, ENDPOINT, GATEWAY, OPEN, OTHERS, TOKEN, prepare
from tests.support import tiny_models
from tests.support.hub_server import Hub, serving

EVIL = "http://evil"
"""Placeholder in manifests for the address of the attacker's server."""

OWN: dict[str, Any] = {
    "spec__storage": {"store": "team-a"},
    "spec__model__source": f"s3://{BUCKET}/tenancy/shared/tiny",
    "spec__data__evaluation__source": f"s3://{BUCKET}/tenancy/shared/sentences.parquet",
    "spec__sla": {"quality": {"metric": "cosine", "maxDrop": "0.9"}},
}
"""Rights of the author in team A."""


@dataclass(frozen=True)
class Attempt:
    """A job that tries to use objects without its author's rights. ``by`` refuses it with the message ``says``."""

    name: str
    by: Literal["API server", "operator", "pod"]
    says: str
    changes: dict[str, Any]
    reason: str = "InvalidInput"
    namespace: str = CLOSED
    shared: dict[str, Any] = field(default_factory=lambda: OWN)


def outside(name: str, says: str = "does not allow it", **changes: Any) -> Attempt:
    """Return an attempt to use a location that the store does not allow."""
    return Attempt(name, "operator", says, changes, "LocationNotAllowed")


def itself(name: str, says: str, **changes: Any) -> Attempt:
    """Return an attempt to name a Secret, an endpoint or a claim in a namespace with stores."""
    return Attempt(name, "operator", says, changes, "StoreRequired")


def unbound(name: str, says: str, **changes: Any) -> Attempt:
    """Return an attempt to send the keys of a Secret to another address, in a namespace without stores."""
    return Attempt(name, "pod", says, changes, namespace=OPEN, shared={})


HUB_MODEL = "hf://acme/tiny"
ATTEMPTS = [
    unbound(
        "the token of the Hub to a server of one's own", """patch secret hub --type=merge --patch='{"stringData":""",
        spec__model__source=HUB_MODEL, spec__hub={"secretName": "hub", "endpoint": EVIL},
    ),
    unbound(
        "the token of the Hub in plain http", "is for https://huggingface.co only",
        spec__model__source=HUB_MODEL, spec__hub={"secretName": "hub", "endpoint": "http://huggingface.co"},
    ),
    unbound(
        "the token of a mirror to another server", f"is for {ENDPOINT} only",
        spec__model__source=HUB_MODEL, spec__hub={"secretName": "mirror", "endpoint": EVIL},
    ),
    unbound(
        "the session token of an object store to a server of one's own", f"are for {ENDPOINT} only",
        spec__storage={"secretName": "bound", "endpoint": EVIL},
    ),
    itself(
        "a Secret of the namespace", "spec.storage.secretName: 's3'",
        spec__storage={"secretName": "s3", "endpoint": ENDPOINT},
    ),
    itself(
        "a Secret, with an endpoint of one's own for the output", "spec.output.storage.secretName",
        spec__output__storage={"secretName": "s3", "endpoint": EVIL},
    ),
    itself(
        "the token of the Hub, beside a store", "spec.hub.secretName: 'hub'",
        spec__model__source=HUB_MODEL, spec__hub={"secretName": "hub", "endpoint": EVIL},
    ),
    itself("the identity of the runtime", "needs one of this namespace's CompressionStores", spec__storage={}),
    outside("a model of another tenant", spec__model__source=f"{OTHERS}/tiny"),
    outside("a folder whose name only begins alike", spec__model__source=f"s3://{BUCKET}/tenancy/team-ab/tiny"),
    outside("data of another tenant", spec__data__evaluation__source=f"{OTHERS}/sentences.parquet"),
    outside(
        "another tenant's model as a teacher",
        spec__pipeline=[{"distill": {"teacherSource": f"{OTHERS}/tiny"}}],
        spec__data__training={"source": f"s3://{BUCKET}/tenancy/shared/training.parquet"},
    ),
    outside("a claim of the namespace", spec__model__source="pvc://compression-site/venv"),
    outside("a claim to write to", spec__output__destination="pvc://compression-site/venv"),
    outside(
        "a model of another tenant, to overwrite it",
        spec__output={"destination": f"{OTHERS}/tiny", "overwrite": True},
    ),
    outside(
        "a model that all may read, to overwrite it", "allows only reading there",
        spec__model__source=f"s3://{BUCKET}/tenancy/team-a/tiny",
        spec__output={"destination": f"s3://{BUCKET}/tenancy/shared/tiny", "overwrite": True},
    ),
    outside("another tenant's reports, to replace them", spec__output__reports=f"{OTHERS}/reports"),
    outside("another tenant's checkpoints, to plant some", spec__output__checkpoints=f"{OTHERS}/checkpoints"),
    outside(
        "what lies beside the folder of one's own", "name a folder below",
        spec__output__destination=f"s3://{BUCKET}/tenancy/team-a",
    ),
    Attempt(
        "a way out of one's own folder", "API server", "without '..'",
        {"spec__model__source": f"s3://{BUCKET}/tenancy/team-a/../team-b/tiny"},
    ),
    Attempt(
        "an address beside a store, for its keys", "API server", "the store has these settings",
        {"spec__storage": {"store": "team-a", "endpoint": EVIL}},
    ),
    Attempt(
        "the store of another team", "API server", "may not use this CompressionStore",
        {"spec__storage": {"store": "team-b"}, "spec__model__source": f"{OTHERS}/tiny"},
    ),
    Attempt(
        "the store of another team, for the output alone", "API server", "spec.output.storage.store (team-b)",
        {"spec__output__storage": {"store": "team-b"}, "spec__output__destination": f"{OTHERS}/out"},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def hub(store: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Run the platform team's mirror of the Hub, with a private model."""
    root = tmp_path_factory.mktemp("hub")
    tiny_models.bert(root / "acme" / "tiny")
    with serving(root, GATEWAY) as server:
        server.token = TOKEN
        yield server


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Run the attacker's server, which records every request."""
    with serving(tmp_path_factory.mktemp("evil"), GATEWAY) as server:
        yield server


@pytest.fixture(scope="module")
def namespaces(
    kubectl: Kubectl, store: Any, hub: Hub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Namespace]]:
    """Return both namespaces as set up by the platform team, with models and data of two teams."""
    prepare(kubectl, store, hub.url, tmp_path_factory.mktemp("tenancy"))
    yield {name: Namespace(kubectl, name) for name in (CLOSED, OPEN)}
    kubectl.run("delete", "namespace", CLOSED, OPEN, "--wait=false")


def job_of(name: str, changes: dict[str, Any], evil: Hub) -> dict[str, Any]:
    """Return a job that writes to the author's folder by default."""
    destination = {"spec__output__destination": f"s3://{BUCKET}/tenancy/team-a/out-{name}"}
    text = json.dumps(text_job(name, **(destination | changes)))
    manifest: dict[str, Any] = json.loads(text.replace(EVIL, evil.url))
    return manifest


def create(namespace: Namespace, manifest: dict[str, Any]) -> Job:
    """Create a job as the author."""
    namespace("create", f"--as={AUTHOR}", "--filename=-", stdin=json.dumps(manifest))
    return Job(namespace, manifest["metadata"]["name"])


@pytest.fixture(scope="module")
def untouched(namespaces: dict[str, Namespace], store: Any) -> Iterator[None]:
    """No attempt changes or adds objects of other teams."""

    def others() -> dict[str, str]:
        listed = store.list_objects_v2(Bucket=BUCKET, Prefix="tenancy/")["Contents"]
        return {item["Key"]: item["ETag"] for item in listed if not item["Key"].startswith("tenancy/team-a/")}

    before = others()
    yield
    assert others() == before


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("number", "attempt"), list(enumerate(ATTEMPTS)), ids=[attempt.name.replace(" ", "-") for attempt in ATTEMPTS]
)
def test_an_attempt_is_refused_with_a_message(
    number: int, attempt: Attempt, namespaces: dict[str, Namespace], evil: Hub
) -> None:
    manifest = job_of(f"attempt-{number}", attempt.shared | attempt.changes, evil)
    namespace = namespaces[attempt.namespace]
    if attempt.by == "API server":
        with pytest.raises(LocalClusterError) as refused:
            create(namespace, manifest)
        assert attempt.says in str(refused.value)
        return
    job = create(namespace, manifest)
    status = job.wait_phase("Failed")
    assert job.condition("Failed")["reason"] == attempt.reason, status["message"]
    assert attempt.says in status["message"]
    assert TOKEN not in json.dumps(status)
    assert bool(job.children()) is (attempt.by == "pod")
    assert evil.requests == []
    namespace("delete", "cpj", job.name, "--wait=false")


def test_there_are_at_least_fifteen_attempts_of_different_kinds() -> None:
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS) >= 15
    assert {attempt.by for attempt in ATTEMPTS} == {"API server", "operator", "pod"}


def test_a_token_does_not_follow_a_redirect(namespaces: dict[str, Namespace], hub: Hub, evil: Hub, store: Any) -> None:
    """The mirror in the Secret redirects to the attacker's server, which gets the requests but no token."""
    changes = {"spec__model__source": HUB_MODEL, "spec__hub": {"secretName": "own-mirror", "endpoint": hub.url}}
    hub.redirect = evil.url
    try:
        job = create(namespaces[OPEN], job_of("redirected", changes, evil))
        status = job.wait_phase("Failed")
    finally:
        hub.redirect = ""
    assert "or it is private" in status["message"]
    assert (set(hub.tokens), set(evil.tokens)) == ({f"Bearer {TOKEN}"}, {None})
    assert objects(store, "tenancy/team-a/out-redirected") == set()
    evil.requests.clear()


def test_a_store_of_another_namespace_is_not_used(namespaces: dict[str, Namespace], evil: Hub) -> None:
    job = create(namespaces[OPEN], job_of("borrowed", OWN, evil))
    job.wait_condition("Accepted", "False", "StoreNotFound", says="no CompressionStore 'team-a' in this namespace")
    assert job.children() == []
    namespaces[OPEN]("delete", "cpj", job.name)


FORBIDDEN = [
    ("create", "compressionstores"), ("patch", "compressionstores"), ("get", "secrets"), ("list", "secrets"),
    ("create", "pods"), ("create", "pods/exec"), ("create", "jobs.batch"), ("patch", "compressionjobs/status"),
    ("create", "compressionreviews"), ("create", "rolebindings"),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "resource"), FORBIDDEN)
def test_the_author_has_no_right(namespaces: dict[str, Namespace], verb: str, resource: str) -> None:
    # kubectl treats the part after a "/" as a name.
    kind, _, subresource = resource.partition("/")
    with pytest.raises(LocalClusterError, match="no"):
        namespaces[CLOSED]("auth", "can-i", verb, kind, f"--subresource={subresource}", f"--as={AUTHOR}")


def test_the_author_works_with_what_the_store_allows(
    namespaces: dict[str, Namespace], hub: Hub, evil: Hub, store: Any
) -> None:
    """The author can use a private model from the mirror, shared data, and the folder of the team."""
    hub.tokens.clear()
    changes = OWN | {"spec__model__source": HUB_MODEL, "spec__hub": {"store": "team-a"}}
    job = create(namespaces[CLOSED], job_of("allowed", changes, evil))
    job.wait_phase("Succeeded")
    assert "tenancy/team-a/out-allowed/artifact.json" in objects(store, "tenancy/team-a/out-allowed/")
    assert set(hub.tokens) == {f"Bearer {TOKEN}"}
    (used,) = job.status["stores"]
    assert (used["name"], used["endpoint"], used["hubEndpoint"]) == ("team-a", ENDPOINT, hub.url)
