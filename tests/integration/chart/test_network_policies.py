"""Connections that the policies of chart and operator allow, for each combination of their options.

A real API server has stored the chart's objects and the operator's policies, which were written with the chart's
rights. The pods are those of the Deployment and of a child Job.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from compression_operator.cache.cache import Cache
from compression_operator.child.job import child_job
from compression_operator.cluster.client import Client
from compression_operator.cluster.credentials import Credentials
from compression_operator.cluster.resources import COMPRESSION_JOBS
from compression_operator.loop.network_policies import NetworkPolicies
from compression_operator.network.policies import policy_names, runner_policies
from compression_operator.network.settings import read_settings
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import parse_job
from localcluster.apiserver import APIServer
from tests.integration.chart.conftest import clean
from tests.integration.chart.helm_release import CHART, Helm
from tests.integration.operator.api import Api
from tests.support.network_policies import Endpoint, Network
from tests.support.operator.builders import job, raw_job
from tests.support.operator.control_loop import until

SYSTEM, TEAM, OTHER = "compression-system", "team-a", "team-b"
POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
STORE = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "stores"}},
    "podSelector": {"matchLabels": {"app": "minio"}},
}
RESTRICTED = {
    "enabled": True,
    "metricsFrom": [MONITORING],
    "runnerEgress": {
        "mode": "Restricted",
        "to": [STORE, {"ipBlock": {"cidr": "198.51.100.0/24"}}],
        "ports": [443, 9000],
    },
}
NETWORK: dict[str, dict[str, Any]] = {
    "off": {"enabled": False},
    "operator": {"enabled": True, "runners": False},
    "open": {"enabled": True},
    "restricted": RESTRICTED,
}
WATCHED = {"all": [], "two": [TEAM, OTHER]}
METRICS = {"plain": False, "secure": True}
COMBINATIONS = list(itertools.product(WATCHED, NETWORK, METRICS))

PROMETHEUS = Endpoint("10.244.1.1", "monitoring", {"app": "prometheus"})
MINIO = Endpoint("10.244.1.2", "stores", {"app": "minio"})
NEIGHBOUR = Endpoint("10.244.1.3", TEAM, {"app": "notebook"})
API_SERVER = Endpoint("192.0.2.1")
INTERNET = Endpoint("203.0.113.9")
LISTED = Endpoint("198.51.100.9")
METADATA = Endpoint("169.254.169.254")


@dataclass(frozen=True)
class Site:
    """Policies and pods of a combination of options."""

    network: Network
    operator: Endpoint
    test: Endpoint
    runner: Endpoint
    with_identity: Endpoint
    metrics_port: int
    runner_policies: dict[str, list[str]]
    """Names of the operator's policies, by namespace."""


@pytest.fixture(scope="module")
def api(running: APIServer) -> Iterator[Api]:
    api = Api(running.kubeconfig)
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (SYSTEM, TEAM, OTHER)
    ]
    running.kubectl.apply(*namespaces)
    yield api
    remove_policies(api)
    clean(running)


def remove_policies(api: Api) -> None:
    for item in api.items(POLICIES):
        path = f"/apis/networking.k8s.io/v1/namespaces/{item['metadata']['namespace']}/networkpolicies"
        api.send("DELETE", f"{path}/{item['metadata']['name']}")


@pytest.fixture(params=COMBINATIONS, ids="-".join)
def site(
    request: pytest.FixtureRequest, running: APIServer, api: Api, tmp_path: Path
) -> tuple[tuple[str, str, str], Site]:
    watched, network, metrics = request.param
    values = {
        "watchNamespaces": WATCHED[watched],
        "networkPolicy": NETWORK[network],
        "metrics": {"secure": {"enabled": METRICS[metrics]}},
        "crds": {"install": False},
        "admission": {"protectChildren": False, "fixQueue": False, "warnWithoutLimits": False},
    }
    helm = Helm(running.kubeconfig, tmp_path)
    arguments = [f"{name}={json.dumps(value)}" for name, value in values.items()]
    objects = [
        item
        for item in helm.objects(*itertools.chain(*(("--set-json", it) for it in arguments)))
        if item["apiVersion"] not in ("compression-operator.io/v1alpha1", "admissionregistration.k8s.io/v1")
    ]
    test_pod = yaml.safe_load(
        helm.run("template", "demo", str(CHART), "--show-only=templates/tests/check.yaml", *itertools.chain(
            *(("--set-json", it) for it in arguments)
        ))
    )  # fmt: skip
    remove_policies(api)
    running.kubectl.apply(*objects)
    deployment = api.send("GET", f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/demo-compression-operator")
    template = deployment["spec"]["template"]
    kept = keep(running, objects, template, WATCHED[watched], tmp_path)
    built = Site(
        network=Network(api.items(POLICIES), {}),
        operator=Endpoint.of_pod(template, SYSTEM, "10.244.0.2"),
        test=Endpoint.of_pod(test_pod, SYSTEM, "10.244.0.3"),
        runner=runner("10.244.0.4"),
        with_identity=runner("10.244.0.5", service_account_name="s3-reader"),
        metrics_port=ports(template)["metrics"],
        runner_policies=kept,
    )
    return request.param, built


def ports(template: dict[str, Any]) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}


def runner(ip: str, **runtime: Any) -> Endpoint:
    """Return a pod of a child Job."""
    record = job()
    manifest = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob", "metadata": {"name": "x"}}
    spec = parse_job(manifest | {"spec": record.spec()}).spec
    child = child_job(record, spec, CompressionRuntimeSpec(image="runner:1", **runtime))
    return Endpoint.of_pod(child["spec"]["template"], TEAM, ip)


def keep(
    server: APIServer, objects: list[dict[str, Any]], template: dict[str, Any], watched: list[str], folder: Path
) -> dict[str, list[str]]:
    """Apply policies as the Deployment's operator does, with a job in one namespace; return their names."""
    (container,) = template["spec"]["containers"]
    option = next((it for it in container["args"] if it.startswith("--network-policy=")), None)
    if option is None:
        assert not [it for it in objects if it["metadata"]["name"].endswith("-network")]
        return {}
    (mount,) = [it for it in container["volumeMounts"] if option.partition("=")[2].startswith(it["mountPath"] + "/")]
    (volume,) = [it for it in template["spec"]["volumes"] if it["name"] == mount["name"]]
    (config,) = [
        it for it in objects if it["kind"] == "ConfigMap" and it["metadata"]["name"] == volume["configMap"]["name"]
    ]
    path = folder / Path(option).name
    path.write_text(config["data"][path.name])
    account = server.service_account(SYSTEM, template["spec"]["serviceAccountName"])
    return asyncio.run(keep_policies(path, account, watched))


async def keep_policies(settings_file: Path, account: Path, watched: list[str]) -> dict[str, list[str]]:
    settings = read_settings(settings_file)
    assert settings is not None
    cache = Cache(lambda _: None)
    raw = raw_job()
    raw["metadata"]["namespace"] = TEAM
    cache.put(COMPRESSION_JOBS, raw)
    async with Client(Credentials({"KUBECONFIG": str(account)}), lambda *_: None) as client:
        policies = NetworkPolicies(
            client, cache, policy_names(settings), lambda namespace: runner_policies(settings, namespace), watched
        )
        await policies.ensure(TEAM)
        task = asyncio.create_task(policies.run())
        try:
            await until(lambda: len(policies.kept()) == 2)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        kept: dict[str, list[str]] = {}
        for namespace, name in policies.kept():
            kept.setdefault(namespace, []).append(name)
        return kept


def test_the_policies_allow_exactly_the_needed_connections(site: tuple[tuple[str, str, str], Site]) -> None:
    (_, network, metrics), built = site
    allows, operator = built.network.allows, built.operator
    assert built.metrics_port == (8443 if metrics == "secure" else 8080)

    everyone = {PROMETHEUS, NEIGHBOUR, INTERNET, built.runner, built.test}
    readers = {source for source in everyone if allows(source, operator, built.metrics_port)}
    assert readers == ({PROMETHEUS, built.test} if network == "restricted" else everyone)
    closed = network != "off"
    for port in {8080, 8443, 22} - {built.metrics_port}:
        assert allows(PROMETHEUS, operator, port) is not closed
    assert allows(operator, built.runner, 8080)
    assert allows(operator, API_SERVER, 443)
    assert allows(operator, API_SERVER, 6443)
    assert allows(operator, INTERNET, 53, "UDP")
    assert allows(operator, MINIO, 9000) is not closed

    kept = network in ("open", "restricted")
    names = ["demo-compression-operator-runners", "demo-compression-operator-runners-identity"]
    assert built.runner_policies == ({TEAM: names} if kept else {})
    assert built.network.isolating(built.runner, "Ingress") == (names[:1] if kept else [])
    assert built.network.isolating(built.with_identity, "Egress") == (names if kept else [])
    for pod in (built.runner, built.with_identity):
        assert allows(PROMETHEUS, pod, 8080) is (not kept or network == "restricted")
        for stranger in (NEIGHBOUR, INTERNET, MINIO):
            assert allows(stranger, pod, 8080) is not kept
        for target in (MINIO, LISTED):
            assert allows(pod, target, 9000)
        assert allows(pod, INTERNET, 443) is (network != "restricted")
        assert allows(pod, INTERNET, 53, "UDP")
    assert allows(built.runner, METADATA, 80) is not kept
    assert allows(built.with_identity, METADATA, 80)
    assert allows(NEIGHBOUR, METADATA, 80)  # not a runner, so it is not affected
