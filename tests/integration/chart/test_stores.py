"""A job may name a CompressionStore if its author has the verb "use" on it, by the API server's authorizer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from compressionjob.crd import definitions
from localcluster.apiserver import APIServer
from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from tests.integration.chart.conftest import clean
from tests.integration.chart.helm_release import CHART, Helm
from tests.integration.operator.api import wait_for
from tests.support.manifests import job, set_field
from tests.support.operator.raw import raw_store

NAME = "stores-compression-operator"
FIELDS = ("spec.storage", "spec.model.storage", "spec.data.evaluation.storage", "spec.output.storage", "spec.hub")


@pytest.fixture(scope="module")
def server(running: APIServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIServer]:
    """Return the API server with the chart's CRDs, roles and the policy for stores, and authors in team-a."""
    helm = Helm(running.kubeconfig, tmp_path_factory.mktemp("helm"))
    shown = ["--show-only=templates/storespolicy.yaml", "--show-only=templates/userroles.yaml"]
    kubectl = running.kubectl
    kubectl.apply(*definitions().values(), *yaml.safe_load_all(helm.run("template", "stores", str(CHART), *shown)))
    kubectl.wait_for_crds()
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}})
    bind = ("create", "rolebinding", "--namespace=team-a")
    authors = [f"--user={name}" for name in ("ada", "grace", "linus")]
    kubectl.run(*bind, "authors", f"--clusterrole={helm.namespace}:{NAME}:edit", *authors)
    kubectl.run(*bind, "readers", f"--clusterrole={helm.namespace}:{NAME}:view", *authors)
    kubectl.run(*bind, "all-stores", f"--clusterrole={helm.namespace}:{NAME}:use-stores", "--user=grace")
    rule = {"apiGroups": ["compression-operator.io"], "resources": ["compressionstores"], "verbs": ["use"]}
    kubectl.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "own", "namespace": "team-a"},
            "rules": [rule | {"resourceNames": ["own"]}],
        }
    )
    kubectl.run(*bind, "own", "--role=own", "--user=ada")
    wait_for("the policy is in force", lambda: refusal(running.user("linus"), job(spec__storage={"store": "own"})))
    yield running
    kubectl.run("delete", "rolebindings,roles", "--all", "--namespace=team-a")
    clean(running)


def create(kubeconfig: Path, manifest: dict[str, Any]) -> str:
    manifest["metadata"]["namespace"] = "team-a"
    return Kubectl(kubeconfig).run("create", "--dry-run=server", "--filename=-", stdin=json.dumps(manifest))


def refusal(kubeconfig: Path, manifest: dict[str, Any]) -> str:
    """Return the API server's error for a job; "" if it accepts it."""
    try:
        create(kubeconfig, manifest)
    except LocalClusterError as error:
        return str(error)
    return ""


def naming(field: str, store: str) -> dict[str, Any]:
    manifest = job()
    set_field(manifest, field, {"store": store})
    return manifest


@pytest.mark.parametrize("field", FIELDS)
def test_a_job_needs_the_right_to_use_its_store(server: APIServer, field: str) -> None:
    ada, grace, linus = (server.user(name) for name in ("ada", "grace", "linus"))
    assert refusal(ada, naming(field, "own")) == ""
    assert refusal(grace, naming(field, "own")) == ""
    for author, store in ((ada, "others"), (linus, "own")):
        said = refusal(author, naming(field, store))
        assert (
            f"{field}.store ({store}): {'ada' if author == ada else 'linus'} may not use this CompressionStore" in said
        )
        assert "'use'" in said or '"use"' in said


def test_without_a_store_nothing_changes(server: APIServer) -> None:
    assert refusal(server.user("linus"), job()) == ""


def test_every_store_of_a_job_is_checked(server: APIServer) -> None:
    manifest = naming("spec.storage", "own")
    set_field(manifest, "spec.output.storage", {"store": "others"})
    assert "spec.output.storage.store (others)" in refusal(server.user("ada"), manifest)
    assert refusal(server.user("grace"), manifest) == ""


def test_authors_can_read_but_not_write_stores(server: APIServer) -> None:
    """Authors can neither edit stores nor change the store of an admitted job."""
    ada, path = Kubectl(server.user("ada")), ("--namespace=team-a",)
    store = raw_store("own")
    store["metadata"] = {"name": "own", "namespace": "team-a"}
    with pytest.raises(LocalClusterError, match="cannot create resource"):
        ada.run("create", "--filename=-", stdin=json.dumps(store))
    server.kubectl.apply(store)
    assert "own" in ada.run("get", "cpst", *path)
    opened = json.dumps({"spec": {"locations": [{"prefix": "s3://secret/", "access": "ReadWrite"}]}})
    with pytest.raises(LocalClusterError, match="cannot patch resource"):
        ada.run("patch", "cpst", "own", *path, "--type=merge", f"--patch={opened}")
    manifest = naming("spec.storage", "own")
    manifest["metadata"]["namespace"] = "team-a"
    ada.run("create", "--filename=-", stdin=json.dumps(manifest))
    for field in ("storage", "hub"):
        patch = json.dumps({"spec": {field: {"store": "others"}}})
        with pytest.raises(LocalClusterError, match="cannot change once the job exists"):
            ada.run("patch", "cpj", "minilm-int8", *path, "--type=merge", f"--patch={patch}")
    ada.run("delete", "cpj", "minilm-int8", *path)
