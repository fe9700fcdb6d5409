"""Probes are public; metrics are public or access-controlled, and the certificate follows its files."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from compression_operator.process import web
from compression_operator.process.serving_certificate import ServingCertificate
from compressionjob.errors import InvalidSpec
from localcluster import certificates
from tests.support.operator.control_loop import until


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Gauge("compression_operator_leader", "x", registry=made).set(1)
    return made


async def get(url: str, context: ssl.SSLContext | None = None, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers, ssl=True if context is None else context) as answer,
    ):
        return answer.status, await answer.text()


async def test_without_a_check_metrics_are_beside_the_probes() -> None:
    ready = False
    routes = [*web.health_routes(lambda: ready), *web.metrics_routes(registry())]
    async with web.serve(0, routes) as port:
        url = f"http://127.0.0.1:{port}"
        assert await get(f"{url}/healthz") == (200, "ok\n")
        assert (await get(f"{url}/readyz"))[0] == 503
        ready = True
        assert (await get(f"{url}/readyz"))[0] == 200
        assert "compression_operator_leader 1.0" in (await get(f"{url}/metrics"))[1]


@pytest.mark.parametrize(("status", "text"), [(401, "bearer token"), (403, ":metrics-reader"), (503, "try again")])
async def test_a_check_that_refuses_shows_no_metric_and_says_why(status: int, text: str) -> None:
    async def check(_: str) -> int:
        return status

    async with web.serve(0, web.metrics_routes(registry(), check)) as port:
        code, body = await get(f"http://127.0.0.1:{port}/metrics", Authorization="Bearer x")
    assert code == status
    assert text in body
    assert "compression_operator_leader" not in body


def write(folder: Path, name: str) -> ssl.SSLContext:
    """Write tls.crt and tls.key of a server's name; return a client context that trusts them."""
    authority = certificates.make_authority(folder.parent / f"authority-{name}")
    made = certificates.make_server(authority, folder.parent / f"certificate-{name}", name, ["127.0.0.1"])
    folder.mkdir(exist_ok=True)
    (folder / "tls.crt").write_bytes(made.certificate.read_bytes())
    (folder / "tls.key").write_bytes(made.key.read_bytes())
    return ssl.create_default_context(cafile=str(authority.certificate))


async def test_a_renewed_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    trust = write(folder, "first")
    certificate = ServingCertificate(folder)
    following = asyncio.create_task(certificate.keep_fresh(interval=0.01))
    try:
        async with web.serve(0, web.metrics_routes(registry()), certificate.context) as port:
            url = f"https://127.0.0.1:{port}/metrics"
            assert (await get(url, trust))[0] == 200
            key = (folder / "tls.key").read_bytes()
            (folder / "tls.key").write_text("half written")
            await asyncio.sleep(0.05)
            assert (await get(url, trust))[0] == 200
            (folder / "tls.key").write_bytes(key)
            renewed = write(folder, "second")
            await until(lambda: certificate.load() is False)
            assert (await get(url, renewed))[0] == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await get(url, trust)
    finally:
        following.cancel()


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"--metrics-certificate: .*cannot be used \(No such file"):
        ServingCertificate(tmp_path)
    (tmp_path / "tls.crt").write_text("x")
    (tmp_path / "tls.key").write_text("y")
    with pytest.raises(InvalidSpec, match=r"mount a Secret of the type kubernetes.io/tls"):
        ServingCertificate(tmp_path)
