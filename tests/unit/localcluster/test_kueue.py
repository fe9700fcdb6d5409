"""Kueue's manifests for the local cluster."""

import json
from pathlib import Path
from typing import Any

import pytest

from localcluster import gobuild, kueue, paths
from localcluster.kueue import manifests


def webhook(name: str, group: str) -> dict[str, Any]:
    return {"name": name, "rules": [{"apiGroups": [group], "operations": ["CREATE"]}]}


def deployment() -> dict[str, Any]:
    container = {
        "name": "manager",
        "command": ["/manager"],
        "image": "registry/kueue:main",
        "imagePullPolicy": "Always",
        "readinessProbe": {"httpGet": {"path": "/readyz"}, "periodSeconds": 10},
        "resources": {"requests": {"cpu": "500m"}},
    }
    pod = {"containers": [container], "securityContext": {"runAsNonRoot": True}, "serviceAccountName": "kueue"}
    return {"kind": "Deployment", "spec": {"replicas": 1, "template": {"metadata": {}, "spec": pod}}}


def test_consecutive_json_documents_are_parsed() -> None:
    assert manifests.parse('{"kind": "A"}\n{\n "kind": "B"\n}\n') == [{"kind": "A"}, {"kind": "B"}]
    assert manifests.parse("") == []


def test_the_deployment_gets_the_local_image_and_a_user_and_keeps_the_rest() -> None:
    original = deployment()
    (adapted,) = manifests.adapt([original], "localhost/kueue:1")
    assert original == deployment()
    pod = adapted["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("localhost/kueue:1", "Never")
    assert container["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz"}
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532}
    assert (pod["serviceAccountName"], adapted["spec"]["replicas"]) == ("kueue", 1)


def test_jobs_are_the_only_framework() -> None:
    (adapted,) = manifests.adapt([{"kind": "ConfigMap", "data": {"controller_manager_config.yaml": "x"}}], "image")
    configuration = json.loads(adapted["data"]["controller_manager_config.yaml"])
    assert configuration["integrations"] == {"frameworks": ["batch/job"]}


@pytest.mark.parametrize("kind", manifests.WEBHOOKS)
def test_only_webhooks_of_jobs_and_kueues_own_kinds_are_kept(kind: str) -> None:
    hooks = [webhook("pod", ""), webhook("job", "batch"), webhook("queue", "kueue.x-k8s.io"), webhook("app", "apps")]
    (adapted,) = manifests.adapt([{"kind": kind, "webhooks": hooks}], "image")
    assert [hook["name"] for hook in adapted["webhooks"]] == ["job", "queue"]


def test_api_services_are_left_out_and_other_objects_are_kept() -> None:
    role = {"kind": "ClusterRole", "rules": []}
    assert manifests.adapt([{"kind": "APIService"}, role], "image") == [role]


def test_it_is_built_when_program_and_manifests_are_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not kueue.is_built()
    folder = gobuild.target(gobuild.KUEUE).parent
    assert folder.is_relative_to(paths.cache())
    folder.mkdir(parents=True)
    (folder / "kueue").touch()
    assert not kueue.is_built()
    (folder / "manifests.json").touch()
    assert kueue.is_built()
