"""Fixtures of the tenancy tests: namespaces with and without CompressionStores, and an author of jobs."""

from pathlib import Path
from typing import Any

from demo.installation import upload
from localcluster.kubectl import Kubectl
from tests.e2e.conftest import localcluster
from tests.e2e.jobs import BUCKET, empty
from tests.support import tiny_models

AUTHOR = "mallory@example.com"
GATEWAY = "10.244.0.1"
"""Address of this machine and its object store for pods."""
ENDPOINT = f"http://{GATEWAY}:7070"
CLOSED, OPEN = "tenancy", "tenancy-open"
TOKEN = "hf_e2e_token_of_the_namespace"
OTHERS = f"s3://{BUCKET}/tenancy/team-b"
ROLES = "compression-system:compression-operator"


def prepare(kubectl: Kubectl, store: Any, hub: str, folder: Path) -> None:
    """Set up both namespaces as a platform team. ``hub`` is the address of its mirror of the Hub."""
    seed(store, folder)
    for name in (CLOSED, OPEN):
        kubectl.run("delete", "namespace", name, "--ignore-not-found", "--wait")
        localcluster("namespace", name)
        kubectl.apply(*permissions(name), *secrets(name, hub))
    for name in ("team-a", "team-b"):
        kubectl.apply(compression_store(name, hub))


def seed(store: Any, folder: Path) -> None:
    """Write the models and data of three teams, and shared ones."""
    empty(store, "tenancy/")
    model, data = tiny_models.bert(folder / "tiny"), tiny_models.text_data(folder / "sentences.parquet")
    for team in ("team-a", "team-ab", "team-b", "shared"):
        upload(store, model, BUCKET, f"tenancy/{team}/tiny")
        upload(store, data, BUCKET, f"tenancy/{team}/sentences.parquet")


def permissions(namespace: str) -> list[dict[str, Any]]:
    """Return the author's rights: CompressionJobs, and the store of the author's team."""
    api = "rbac.authorization.k8s.io"
    subjects = [{"kind": "User", "name": AUTHOR, "apiGroup": api}]
    kinds = {"edit": "ClusterRole", "view": "ClusterRole", "use-team-a": "Role"}
    bindings = [
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": namespace},
            "subjects": subjects,
            "roleRef": {"apiGroup": api, "kind": kind, "name": f"{ROLES}:{name}" if kind == "ClusterRole" else name},
        }
        for name, kind in kinds.items()
    ]
    rule = {"apiGroups": ["compression-operator.io"], "resources": ["compressionstores"], "verbs": ["use"]}
    metadata = {"name": "use-team-a", "namespace": namespace}
    role = {"kind": "Role", "metadata": metadata, "rules": [rule | {"resourceNames": ["team-a"]}]}
    return [{"apiVersion": f"{api}/v1"} | role, *bindings]


def secrets(namespace: str, hub: str) -> list[dict[str, Any]]:
    """Return Secrets with keys and tokens, some of them limited to an address."""
    contents = {
        "hub": {"HF_TOKEN": TOKEN},
        "mirror": {"HF_TOKEN": TOKEN, "HF_ENDPOINT": ENDPOINT},
        "own-mirror": {"HF_TOKEN": TOKEN, "HF_ENDPOINT": hub},
        "bound": {
            "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": TOKEN,
            "AWS_ENDPOINT_URL": ENDPOINT,
        },
    }  # fmt: skip
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data}
        for name, data in contents.items()
    ]


def compression_store(team: str, hub: str) -> dict[str, Any]:
    """Return the store of a team: a writable folder of its own, and a shared read-only folder."""
    return {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionStore",
        "metadata": {"name": team, "namespace": CLOSED},
        "spec": {
            "endpoint": ENDPOINT,
            "secretName": "s3",
            "locations": [
                {"prefix": f"s3://{BUCKET}/tenancy/{team}/", "access": "ReadWrite"},
                {"prefix": f"s3://{BUCKET}/tenancy/shared/"},
            ],
            "hub": {"endpoint": hub, "secretName": "hub"},
        },
    }
