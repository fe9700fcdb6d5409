"""Requests to a stand-in server: the moments of tokens, failures, arrivals, and a constant number at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from compression_runner.evaluation.serving.client import Client, Request
from compression_runner.evaluation.serving.load import Load, Loaded, run_load
from compression_runner.evaluation.serving.served_block import ServedBlock
from compression_runner.evaluation.speed import loadgen
from compression_runner.inference.serving.server import ServerProcess
from compressionjob.estimate import UNBOUNDED_SECONDS
from compressionjob.serving import LATENCIES
from tests.support.completions_server import command

PROMPTS = [[number] * 8 for number in range(40)]


def request(longest: int = 6, *, exact: bool = True, timeout: float = 60.0) -> Request:
    return Request("model", PROMPTS, longest, exact, timeout)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that ends its own answers after 1 to 16 tokens, by the prompt."""
    with ServerProcess(command(tmp_path_factory.mktemp("server") / "log", vary=True)) as server:
        yield server.url


def test_every_token_has_its_moment(url: str) -> None:
    with Client(url, request()) as client:
        answer = client.ask(3)
    assert answer.error == ""
    assert len(answer.tokens) == 6
    assert answer.tokens == sorted(answer.tokens)
    # The stand-in waits 4 ms or more before the first token, and 1 ms or more before each other.
    assert answer.tokens[0] - answer.sent >= 0.004
    assert answer.done >= answer.tokens[-1] >= answer.sent + 0.004 + 5 * 0.001


def test_an_answer_may_end_by_itself(url: str) -> None:
    with Client(url, request(longest=64, exact=False)) as client:
        lengths = [len(client.ask(prompt).tokens) for prompt in (0, 1, 2)]
    assert lengths == [1 + sum(PROMPTS[prompt]) % 16 for prompt in (0, 1, 2)]


def test_each_kind_of_failure_has_its_cause(tmp_path: Path) -> None:
    with ServerProcess(command(tmp_path / "log", failing=1.0, ttft=0.0)) as server:
        with Client(server.url, request()) as client:
            assert "connection failed" in client.ask(0).error
        with Client(f"{server.url}/nothing", request()) as client:
            assert client.ask(0).error == "HTTP status 404"
        address = server.url
    with Client(address, request()) as client:
        assert "connection failed" in client.ask(0).error
    with (
        ServerProcess(command(tmp_path / "slow", ttft=30.0)) as server,
        Client(server.url, request(timeout=0.2)) as client,
    ):
        assert client.ask(0).error == "no whole answer in 0.2 s"


class OneAnswerOnEachConnection(BaseHTTPRequestHandler):
    """Keeps a connection open as vLLM does, and has closed it when the second request comes."""

    protocol_version = "HTTP/1.1"
    answered = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.answered:
            self.close_connection = True
            return
        self.answered = True
        usage = b'{"usage": {"completion_tokens": %s}}' % self.server.completed  # type: ignore[attr-defined]
        body = b"data: " + usage + b"\n\ndata: [DONE]\n\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


@contextmanager
def answering(completed: bytes) -> Iterator[str]:
    """Serve answers with this JSON as the number of their tokens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OneAnswerOnEachConnection) as server:
        server.completed = completed  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_each_request_has_a_connection_of_its_own() -> None:
    with answering(b"6") as address, Client(address, request()) as client:
        assert [client.ask(prompt).error for prompt in range(3)] == ["", "", ""]


@pytest.mark.parametrize("completed", [b"null", b"[1]", b"{}"])
def test_an_answer_that_cannot_be_read_has_failed(completed: bytes) -> None:
    with answering(completed) as address, Client(address, request()) as client:
        answer = client.ask(0)
    assert answer.error == "the answer cannot be read (TypeError)"
    block = ServedBlock(Loaded((answer,), rate=1.0, in_flight=1.0, growth=0.0), longest=6)
    assert {float(block.seconds(name).min()) for name in LATENCIES} == {UNBOUNDED_SECONDS}


def test_a_load_keeps_its_number_of_requests_at_a_time(url: str) -> None:
    with Client(url, request()) as client:
        loaded = run_load(client, Load(concurrency=4, settle=4), len(PROMPTS), 40, seed=1)
    assert len(loaded.answers) == 40
    assert not any(answer.error for answer in loaded.answers)
    begins, ends = np.sort([answer.sent for answer in loaded.answers]), np.sort([a.done for a in loaded.answers])
    at_once = [index - int(np.searchsorted(ends, moment)) + 1 for index, moment in enumerate(begins)]
    assert max(at_once) <= 4
    assert loaded.growth == 0.0
    assert loaded.in_flight == pytest.approx(4, rel=0.3)


def test_a_load_on_a_slow_server_ends_in_its_time_with_the_requests_that_were_sent(tmp_path: Path) -> None:
    slow = {"ttft": 0.2, "ttft_more": 0.0, "gap": 0.0, "gap_more": 0.0}
    with ServerProcess(command(tmp_path / "log", **slow)) as server, Client(server.url, request()) as client:
        loaded = run_load(client, Load(concurrency=2, settle=2, seconds=1.5), len(PROMPTS), 400, seed=1)
        # A load whose time is over at once still measures as many requests as it has at a time.
        least = run_load(client, Load(concurrency=2, settle=2, seconds=0.0), len(PROMPTS), 400, seed=1)
    assert 2 <= len(loaded.answers) <= 14
    assert len(least.answers) == 2
    for each in (loaded, least):
        assert not any(answer.error for answer in each.answers)
        assert all(answer.done - answer.arrival >= 0.2 for answer in each.answers)
        assert each.rate <= 2 / 0.2


def test_a_load_on_a_server_that_hangs_ends_after_several_late_requests(tmp_path: Path) -> None:
    with (
        ServerProcess(command(tmp_path / "log", ttft=600.0)) as server,
        Client(server.url, request(timeout=0.5)) as client,
    ):
        loaded = run_load(client, Load(concurrency=2, settle=2), len(PROMPTS), 400, seed=1)
    # Seven are late in a row; the next is in flight then. Two of them let the server fill.
    assert 2 <= len(loaded.answers) <= 9
    assert all(answer.late and answer.error for answer in loaded.answers)


def test_arrivals_are_those_of_loadgens_schedule(url: str) -> None:
    with Client(url, request()) as client:
        first, second = (run_load(client, Load(rate=200.0, settle=3), len(PROMPTS), 60, seed=7) for _ in range(2))
        other = run_load(client, Load(rate=200.0, settle=3), len(PROMPTS), 60, seed=8)
    gaps = [np.diff([answer.arrival for answer in each.answers]) for each in (first, second, other)]
    assert [answer.prompt for answer in first.answers] == [answer.prompt for answer in second.answers]
    # The same seed schedules the same arrivals, however late a busy machine sends them.
    np.testing.assert_allclose(gaps[0], gaps[1], atol=1e-9)
    assert not np.allclose(gaps[0], gaps[2], atol=1e-9)
    assert 1 / 200 / 2 < gaps[0].mean() < 2 / 200
    assert all(answer.done >= answer.sent >= answer.arrival for answer in first.answers)


def test_a_server_that_is_too_slow_falls_behind(tmp_path: Path) -> None:
    with (
        ServerProcess(command(tmp_path / "log", slots=1, ttft=0.02, ttft_more=0.0, gap=0.0, gap_more=0.0)) as server,
        Client(server.url, request(longest=2)) as client,
    ):
        loaded = run_load(client, Load(rate=200.0, settle=2), len(PROMPTS), 40, seed=1)
    assert loaded.growth > 0.5


@pytest.mark.parametrize("load", [Load(rate=200.0, settle=2), Load(concurrency=2, settle=2)])
def test_a_request_that_loadgen_did_not_record_is_an_error(
    url: str, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = loadgen.run_test
    monkeypatch.setattr(loadgen, "run_test", lambda *arguments: whole(*arguments)[:-1])
    with Client(url, request()) as client, pytest.raises(loadgen.LoadGenError, match="recorded 9 of 10 requests"):
        run_load(client, load, len(PROMPTS), 6, seed=1)
