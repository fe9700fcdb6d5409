"""A real API server accepts the rendered chart, with every option on and off."""

import json
from typing import Any

import pytest

from localcluster.apiserver import APIServer
from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from tests.integration.chart.helm_release import CHART, Helm
from tests.support.monitoring_crds import monitoring_crds

MONITORING = ["--set", "serviceMonitor.enabled=true,podMonitor.enabled=true,prometheusRule.enabled=true"]
EVERYTHING: dict[str, Any] = {
    "replicas": 2,
    "image": {"repository": "example.com/team/operator", "digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": ["pull"],
    "extraArgs": ["--verbose"],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraVolumes": [{"name": "site", "persistentVolumeClaim": {"claimName": "site", "readOnly": True}}],
    "extraVolumeMounts": [{"name": "site", "mountPath": "/opt/site", "readOnly": True}],
    "podAnnotations": {"example.com/a": "b"},
    "podLabels": {"example.com/c": "d"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "control-plane", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
    "dnsPolicy": "Default",
    "serviceAccount": {"annotations": {"example.com/role": "operator"}},
    "runtimes": {
        "cpu": {
            "command": ["/opt/site/bin/python", "-m", "compression_runner", "pod"],
            "env": [{"name": "OMP_NUM_THREADS", "value": "2"}],
            "volumes": [{"name": "site", "mountPath": "/opt/site", "persistentVolumeClaim": {"claimName": "site"}}],
            "pricePerHour": "0.4",
            "workspace": {"size": "100Gi"},
        },
        "spot": {"image": "other:1", "nodeSelector": {"spot": "true"}, "priorityClassName": "low"},
    },
    "notifications": {
        "source": "https://cluster-a.example.com",
        "receivers": {
            "ops": {"url": "https://hooks.example.com:8443/a", "signingKey": {"secretName": "ops", "key": "hmac"}},
            "chat": {"url": "http://chat.internal", "events": ["Failed"], "timeout": "5s"},
        },
    },
    "service": {"port": 9090, "labels": {"a": "b"}, "annotations": {"a": "b"}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"a": "b"}, "runbookBase": "https://example.com/runbooks"},
    "dashboard": {"enabled": True, "annotations": {"folder": "ML"}},
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "extraEgress": [{"ports": [{"port": 4317, "protocol": "TCP"}]}],
        "runnerEgress": {"mode": "Restricted", "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [443]},
    },
    "metrics": {
        "secure": {
            "enabled": True,
            "certSecretName": "metrics-tls",
            "readers": [{"name": "prometheus", "namespace": "monitoring"}],
        }
    },
    "podDisruptionBudget": {"enabled": True, "maxUnavailable": "50%"},
}
MATRIX = {
    "defaults": [],
    "two replicas": ["--set", "replicas=2"],
    "two namespaces": ["--set", "watchNamespaces={team-a,team-b}"],
    "monitoring": MONITORING,
    "dashboard": ["--set", "dashboard.enabled=true"],
    "network policy": ["--set", "networkPolicy.enabled=true"],
    "network policy of two namespaces": ["--set", "networkPolicy.enabled=true,watchNamespaces={team-a,team-b}"],
    "secure metrics": ["--set", "metrics.secure.enabled=true", *MONITORING],
    "secure metrics of two namespaces": ["--set", "metrics.secure.enabled=true,watchNamespaces={team-a,team-b}"],
    "disruption budget": ["--set", "podDisruptionBudget.enabled=true"],
    "nothing of its own": [
        "--set", "crds.install=false,rbac.create=false,rbac.userRoles=false,runtimes=null",
        "--set", "serviceAccount.create=false,serviceAccount.name=theirs",
    ],
    "no policies": ["--set", "admission.protectChildren=false,admission.fixQueue=false"],
    "a long name": ["--set", f"fullnameOverride={'n' * 52}"],
    "everything": ["--set-json", *[f"{name}={json.dumps(value)}" for name, value in EVERYTHING.items()]],
    "everything in two namespaces": [
        "--set", "watchNamespaces={team-a,team-b}", "--set-json",
        *[f"{name}={json.dumps(value)}" for name, value in EVERYTHING.items()],
    ],
}  # fmt: skip


def arguments(case: str) -> list[str]:
    """Return helm's arguments for a case. --set-json takes one value each."""
    result: list[str] = []
    flag = ""
    for word in MATRIX[case]:
        if word.startswith("--"):
            flag = word
        else:
            result += [flag, word]
    return result


def namespace(name: str) -> dict[str, Any]:
    """Return a namespace that refuses pods outside the restricted standard, and warns about their controllers."""
    modes = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": modes}}


@pytest.fixture
def cluster(server: APIServer) -> Kubectl:
    kubectl = server.kubectl
    kubectl.apply(*(namespace(name) for name in ("compression-system", "team-a", "team-b")))
    crds = [*sorted((CHART / "files" / "crds").glob("*.yaml")), *monitoring_crds()]
    # Server-side, since they are too large for the annotation of client-side apply.
    kubectl.run("apply", "--server-side", *(f"--filename={path}" for path in crds))
    kubectl.wait_for_crds()
    return kubectl


def test_every_combination_is_accepted_without_a_warning(cluster: Kubectl, helm: Helm) -> None:
    for case in MATRIX:
        manifest = "\n---\n".join(json.dumps(item) for item in helm.objects(*arguments(case)))
        try:
            cluster.run(
                "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict",
                "--warnings-as-errors", "--filename=-", stdin=manifest,
            )  # fmt: skip
        except LocalClusterError as error:
            raise AssertionError(f"{case}: {error}") from error


def test_the_pods_pass_the_restricted_standard(cluster: Kubectl, helm: Helm) -> None:
    rendered = {item["kind"]: item for item in helm.objects(*arguments("everything"))}
    pod = rendered["Deployment"]["spec"]["template"]["spec"]
    pod |= {"serviceAccountName": "default", "priorityClassName": ""}
    operator: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "operator", "namespace": helm.namespace},
        "spec": pod,
    }
    cluster.run("create", "--dry-run=server", "--filename=-", stdin=json.dumps(operator))
    privileged = {**operator, "spec": {**pod, "hostNetwork": True}}
    with pytest.raises(LocalClusterError, match="violates PodSecurity"):
        cluster.run("create", "--dry-run=server", "--filename=-", stdin=json.dumps(privileged))


def test_the_pod_of_helm_test_passes_the_restricted_standard(cluster: Kubectl, helm: Helm) -> None:
    chart = helm.run("template", "demo", str(CHART), "--show-only=templates/tests/check.yaml")
    account = "demo-compression-operator"
    cluster.run("create", "serviceaccount", account, f"--namespace={helm.namespace}")
    cluster.run("create", "--dry-run=server", "--filename=-", stdin=chart)
    cluster.run("delete", "serviceaccount", account, f"--namespace={helm.namespace}")
