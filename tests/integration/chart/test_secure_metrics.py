"""Secure metrics with real tokens on a real API server, and a real Prometheus with the ServiceMonitor's settings."""

import base64
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster import ports
from localcluster.apiserver import APIServer
from tests.integration.chart.helm_release import CHART, Helm
from tests.integration.chart.test_permissions import granted
from tests.integration.observability import prometheus
from tests.integration.operator import operators
from tests.integration.operator.api import wait_for
from tests.integration.operator.operators import OperatorProcess

RELEASE = "compression-operator"
READER = "prometheus"
SECURE = [
    "--set=metrics.secure.enabled=true",
    f"--set=metrics.secure.readers[0].name={READER},metrics.secure.readers[0].namespace=default",
]
HOST = f"{RELEASE}.compression-system.svc"


@pytest.fixture
def release(server: APIServer, helm: Helm) -> Helm:
    helm.install(RELEASE, *SECURE)
    for name in (READER, "outsider"):
        server.kubectl.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}
        )
    return helm


@pytest.fixture
def certificates(server: APIServer, release: Helm, tmp_path: Path) -> Path:
    """Return the folder with the files of the Secret. The Deployment mounts all except ca.crt."""
    secret = server.kubectl.read("get", "secret", f"{RELEASE}-metrics", f"--namespace={release.namespace}")
    folder = tmp_path / "certificates"
    folder.mkdir()
    for name, content in secret["data"].items():
        (folder / name).write_bytes(base64.b64decode(content))
    return folder


@contextmanager
def serving(server: APIServer, release: Helm, certificates: Path) -> Iterator[tuple[OperatorProcess, int]]:
    """Run the release's operator; yield it and the port of its metrics."""
    port = ports.free()
    running = operators.start(
        server.service_account(release.namespace, RELEASE), certificates.parent, f"--metrics-port={port}",
        f"--metrics-certificate={certificates}", f"--lease-namespace={release.namespace}",
    )  # fmt: skip
    try:
        running.wait_ready()
        yield running, port
    finally:
        running.stop()


def token(server: APIServer, account: str, *options: str) -> str:
    return server.kubectl.run("create", "token", account, "--namespace=default", *options).strip()


def status(port: int, authority: Path, bearer: str = "") -> int:
    """Return the status code of a scrape with a token, with the TLS settings of the ServiceMonitor."""
    context = ssl.create_default_context(cafile=str(authority))
    context.check_hostname = False  # Prometheus verifies the Service's name; urllib would verify the address
    request = urllib.request.Request(f"https://127.0.0.1:{port}/metrics")
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            code, body = int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        code, body = error.code, error.read()
    assert (b"compression_operator_leader" in body) is (code == 200)
    return code


def test_metrics_need_a_token_with_the_right_to_read_them(server: APIServer, release: Helm, certificates: Path) -> None:
    authority = certificates / "ca.crt"
    with serving(server, release, certificates) as (operator, port):
        assert status(port, authority) == 401
        assert status(port, authority, "forged") == 401
        assert status(port, authority, token(server, READER, "--audience=another")) == 401
        assert status(port, authority, token(server, "outsider")) == 403
        assert status(port, authority, token(server, READER)) == 200
        assert operator.fetch("/metrics") == ""  # not on the port of the probes
        assert operator.fetch("/healthz") == "ok\n"


def monitor(helm: Helm) -> dict[str, Any]:
    rendered = helm.run(
        "template", RELEASE, str(CHART), "--set=serviceMonitor.enabled=true", *SECURE,
        "--show-only=templates/servicemonitor.yaml",
    )  # fmt: skip
    (endpoint,) = yaml.safe_load(rendered)["spec"]["endpoints"]
    checked: dict[str, Any] = endpoint
    return checked


def scrape(endpoint: dict[str, Any], port: int, authority: Path, bearer: Path) -> dict[str, Any]:
    """Return the scrape configuration for an endpoint of a ServiceMonitor, with the test's files and address."""
    assert endpoint["tlsConfig"]["ca"]["secret"] == {"name": f"{RELEASE}-metrics", "key": "ca.crt"}
    assert endpoint["bearerTokenFile"].startswith("/var/run/secrets/")
    return {
        "job_name": bearer.name,
        "scheme": endpoint["scheme"],
        "metrics_path": endpoint["path"],
        "authorization": {"credentials_file": str(bearer)},
        "tls_config": {"ca_file": str(authority), "server_name": endpoint["tlsConfig"]["serverName"]},
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
    }


def test_prometheus_scrapes_with_the_settings_of_the_service_monitor(
    server: APIServer, release: Helm, certificates: Path
) -> None:
    endpoint = monitor(release)
    assert endpoint["tlsConfig"]["serverName"] == HOST
    for account in (READER, "outsider"):
        (certificates.parent / account).write_text(token(server, account))
    with serving(server, release, certificates) as (_, port):
        scrapes = [
            scrape(endpoint, port, certificates / "ca.crt", certificates.parent / name) for name in (READER, "outsider")
        ]
        with prometheus.start(scrapes, f"127.0.0.1:{ports.free()}") as metrics:
            wait_for("it is scraped", lambda: metrics.number(f'up{{job="{READER}"}}') == 1)
            wait_for("metrics", lambda: metrics.instant("compression_operator_queue_depth"))
            wait_for("the other one is refused", lambda: metrics.number('up{job="outsider"}') == 0)
            (refused,) = [it for it in metrics.ask("targets")["activeTargets"] if it["labels"]["job"] == "outsider"]
            assert "403" in refused["lastError"]


def test_an_upgrade_keeps_the_certificate(server: APIServer, release: Helm, certificates: Path) -> None:
    release.upgrade(RELEASE, *SECURE, "--set=service.port=9090")
    secret = server.kubectl.read("get", "secret", f"{RELEASE}-metrics", f"--namespace={release.namespace}")
    assert base64.b64decode(secret["data"]["tls.crt"]) == (certificates / "tls.crt").read_bytes()


def test_the_rights_to_check_tokens_come_with_the_option(server: APIServer, helm: Helm) -> None:
    reviews = ["create tokenreviews.authentication.k8s.io", "create subjectaccessreviews.authorization.k8s.io"]
    helm.install(RELEASE)
    account = server.service_account(helm.namespace, RELEASE)
    assert granted(account, reviews, helm.namespace) == set()
    helm.upgrade(RELEASE, *SECURE)
    assert granted(account, reviews, helm.namespace) == set(reviews)
