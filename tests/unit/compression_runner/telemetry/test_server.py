"""A request that is not answered does not disturb the pod's log, whose lines are JSON."""

import http.client
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.progress import RunProgress
from compression_runner.telemetry.server import serve


@pytest.fixture
def failure() -> list[Exception]:
    """The error of the next answers."""
    return []


@pytest.fixture
def server(failure: list[Exception], monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    metrics = RunMetrics()

    def fail() -> bytes:
        raise failure[0]

    monkeypatch.setattr(metrics, "expose", fail)
    running = serve(RunProgress(), metrics, port=0, host="127.0.0.1")
    yield running
    running.shutdown()
    running.server_close()


def ask(server: ThreadingHTTPServer) -> None:
    """Ask for metrics; the connection ends without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", "/metrics")
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()


def test_a_client_that_closes_its_connection_is_not_logged(
    server: ThreadingHTTPServer, failure: list[Exception], capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    failure.append(BrokenPipeError())
    ask(server)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_another_error_is_logged_with_its_cause(
    server: ThreadingHTTPServer, failure: list[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    failure.append(ValueError("no metric"))
    ask(server)
    (record,) = caplog.records
    assert record.message == "a request was not answered"
    assert record.exc_info
    assert isinstance(record.exc_info[1], ValueError)
