"""Where the credentials of the user go who fetches a report, with a real client and server."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from compressionjob.stores import StoreConnection
from kubectl_compress.downloads import fetch, report_location
from kubectl_compress.errors import DownloadFailed
from kubectl_compress.job import Job
from tests.support.screens import job, judged

REPORT = b"<html>the report</html>"
TOKEN = "the-token-of-the-reviewer"


class ObjectStore(ThreadingHTTPServer):
    """A server that answers every request with a report and keeps the requests' headers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tokens: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: ObjectStore

    def do_GET(self) -> None:
        self.server.tokens.append(self.headers.get("X-Amz-Security-Token", ""))
        self.send_response(200)
        self.send_header("Content-Length", str(len(REPORT)))
        self.end_headers()
        self.wfile.write(REPORT)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    with ObjectStore() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the user have long-lived keys, and nothing else that the machine may have."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")


def with_endpoint(url: str) -> Job:
    """A job whose author names the endpoint of the object store."""
    return job(status=judged(), spec__storage={"secretName": "s3", "endpoint": url})


def test_keys_go_to_the_endpoint_of_the_job(store: ObjectStore) -> None:
    assert fetch(report_location(with_endpoint(store.url)), ".html") == REPORT
    assert store.tokens == [""]


def test_a_session_token_never_goes_to_an_endpoint_that_the_job_names(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    with pytest.raises(DownloadFailed, match=r"your session token is for AWS only") as raised:
        fetch(report_location(with_endpoint(store.url)), ".html")
    assert f"--endpoint={store.url}" in raised.value.remedy
    assert store.tokens == []


def test_an_endpoint_that_the_user_gives_gets_the_token(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    assert fetch(report_location(with_endpoint("http://other:9000"), store.url), ".html") == REPORT
    assert store.tokens == [TOKEN]


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_users_own_configuration_binds_credentials(
    variable: str, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv(variable, f"{store.url}/")
    assert fetch(report_location(with_endpoint(store.url)), ".html") == REPORT
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    monkeypatch.setenv(variable, "http://minio:9000")
    with pytest.raises(DownloadFailed, match="your AWS credentials are for http://minio:9000 only"):
        fetch(report_location(with_endpoint(store.url)), ".html")
    assert store.tokens == [TOKEN]


def test_the_endpoint_and_region_are_those_of_the_store_that_the_job_used(store: ObjectStore) -> None:
    connection = StoreConnection(name="team-a", endpoint=store.url, region="eu-central-1").to_json()
    place = report_location(job(status=judged(stores=[connection]), spec__storage={"store": "team-a"}))
    assert (place.endpoint, place.region) == (store.url, "eu-central-1")
    assert fetch(place, ".html") == REPORT


def test_a_token_goes_to_a_store_only_where_the_user_names_its_address(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    connection = StoreConnection(name="team-a", endpoint=store.url).to_json()
    with pytest.raises(DownloadFailed, match="session token"):
        fetch(report_location(job(status=judged(stores=[connection]), spec__storage={"store": "team-a"})), ".html")
    assert store.tokens == []
