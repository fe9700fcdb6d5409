"""Network settings and secure metrics of the operator in the chart."""

from pathlib import Path
from typing import Any

import pytest

from compression_operator.network.policies import policy_names
from compression_operator.network.settings import METADATA_ADDRESSES, NetworkSettings, read_settings
from compression_operator.process.options import parse
from tests.support.chart import kind, operator

NETWORK = "--set=networkPolicy.enabled=true"


def network_settings(folder: Path, *arguments: str) -> NetworkSettings:
    """Return the operator's settings, read from the path in its arguments."""
    (config,) = kind("ConfigMap", NETWORK, *arguments)
    (option,) = [word for word in operator(NETWORK, *arguments)["args"] if word.startswith("--network-policy=")]
    path = folder / Path(option).name
    path.write_text(config["data"][path.name])
    settings = read_settings(path)
    assert settings is not None
    return settings


def test_the_operator_reads_its_network_settings(tmp_path: Path) -> None:
    settings = network_settings(tmp_path)
    assert settings.operator.namespace == "system"
    (deployment,) = kind("Deployment")
    assert settings.operator.pod_labels.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert (settings.egress.mode, tuple(settings.egress.metadata_addresses)) == ("Auto", METADATA_ADDRESSES)
    peers = 'networkPolicy.runnerEgress.to=[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}]'
    settings = network_settings(tmp_path, f"--set-json={peers}", "--set=networkPolicy.runnerEgress.ports={443}")
    assert [peer.to_json() for peer in settings.egress.to] == [
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}
    ]
    assert settings.egress.ports == [443]


@pytest.mark.parametrize("watched", ["--set=watchNamespaces={team-a}", "--set=watchNamespaces=null"])
def test_rights_on_network_policies_are_limited_to_those_the_operator_keeps(tmp_path: Path, watched: str) -> None:
    def rules(*arguments: str) -> list[dict[str, Any]]:
        roles = [*kind("ClusterRole", watched, *arguments), *kind("Role", watched, *arguments)]
        return [rule for role in roles for rule in role["rules"] if "networkpolicies" in rule.get("resources", ())]

    (rule,) = rules(NETWORK)
    assert tuple(rule["resourceNames"]) == policy_names(network_settings(tmp_path))
    assert rules() == rules(NETWORK, "--set=networkPolicy.runners=false") == []
    assert kind("ConfigMap", NETWORK, "--set=networkPolicy.runners=false") == []


def test_changed_network_settings_restart_the_operator() -> None:
    def checksum(*arguments: str) -> str:
        (deployment,) = kind("Deployment", NETWORK, *arguments)
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/network"])

    assert checksum() == checksum()
    assert checksum() != checksum("--set=networkPolicy.runnerEgress.mode=Open")


SECURE = "--set=metrics.secure.enabled=true"


def test_secure_metrics_have_a_separate_port_and_probes_stay_plain() -> None:
    container = operator(SECURE)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    options = parse(
        [*container["command"][1:], *(word.replace("$(POD_NAMESPACE)", "x") for word in container["args"])], {}
    )
    assert (options.port, options.metrics_port) == (ports["health"], ports["metrics"])
    (mount,) = [it for it in container["volumeMounts"] if it["mountPath"] == str(options.metrics_certificate)]
    assert mount["readOnly"]
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        assert container[probe]["httpGet"]["port"] == "health"
        assert operator()[probe]["httpGet"]["port"] == "metrics"
    (service,) = kind("Service", SECURE)
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["metrics"]


def test_the_service_monitor_verifies_the_certificate_unless_set_otherwise() -> None:
    def endpoint(*arguments: str) -> dict[str, Any]:
        (monitor,) = kind("ServiceMonitor", "--set=serviceMonitor.enabled=true", *arguments)
        (endpoint,) = monitor["spec"]["endpoints"]
        return dict(endpoint)

    assert not {"scheme", "bearerTokenFile", "tlsConfig"} & endpoint().keys()
    assert endpoint(SECURE)["scheme"] == "https"
    named = endpoint(SECURE, "--set=metrics.secure.certSecretName=theirs")
    assert named["tlsConfig"]["ca"]["secret"] == {"name": "theirs", "key": "ca.crt"}
    assert named["tlsConfig"]["serverName"] == "demo-compression-operator.system.svc"
    assert endpoint(SECURE, "--set=serviceMonitor.tlsConfig.serverName=x")["tlsConfig"] == {"serverName": "x"}


def test_a_named_certificate_secret_is_not_created() -> None:
    assert [item["metadata"]["name"] for item in kind("Secret", SECURE)] == ["demo-compression-operator-metrics"]
    assert kind("Secret", SECURE, "--set=metrics.secure.certSecretName=theirs") == kind("Secret") == []
    (deployment,) = kind("Deployment", SECURE, "--set=metrics.secure.certSecretName=theirs")
    assert "theirs" in [
        it.get("secret", {}).get("secretName") for it in deployment["spec"]["template"]["spec"]["volumes"]
    ]
