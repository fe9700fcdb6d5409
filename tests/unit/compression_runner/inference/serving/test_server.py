"""Servers as processes: started, healthy, ended with all of their processes, also when the runner is killed."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from compression_runner.inference.serving.server import (
    Command,
    ServerFailedError,
    ServerProcess,
    StatusError,
    cause_in,
    free_port,
    read,
)
from tests.support.completions_server import command

# A server that starts a worker of its own, as vLLM does, writes both ids and is healthy.
WITH_WORKER = """
import http.server, os, subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), worker.pid, flush=True)
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
"""


def python(code: str, log: Path, seconds: float = 60.0) -> Command:
    return Command([sys.executable, "-c", code, "{port}"], {}, log, seconds)


def alive(process: int) -> bool:
    """Return whether a process runs; an ended one that no parent has waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_ended(*processes: int) -> None:
    until = time.monotonic() + 30
    while any(map(alive, processes)):
        assert time.monotonic() < until, "a process of the server survives"
        time.sleep(0.05)


def test_a_server_is_healthy_when_it_is_there_and_ends_with_its_workers(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with ServerProcess(python(WITH_WORKER, log)) as server:
        processes = [int(each) for each in log.read_text().split()[:2]]
        assert server.running
        assert all(map(alive, processes))
        assert {os.getsid(each) for each in processes} == {server.session}
    assert not server.running
    wait_until_ended(*processes)


def test_no_server_survives_a_killed_runner(tmp_path: Path) -> None:
    log = tmp_path / "log"
    runner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(f"""
            import sys, time
            from pathlib import Path
            from compression_runner.inference.serving.server import Command, ServerProcess
            arguments = [sys.executable, "-c", {WITH_WORKER!r}, "{{port}}"]
            server = ServerProcess(Command(arguments, {{}}, Path({str(log)!r}), 60))
            print("ready", flush=True)
            time.sleep(600)
        """)],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert runner.stdout
    assert runner.stdout.readline() == b"ready\n"
    processes = [int(each) for each in log.read_text().split()[:2]]
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    wait_until_ended(*processes)
    runner.stdout.close()


def test_a_failed_start_names_its_cause_in_one_line(tmp_path: Path) -> None:
    code = "import sys; print('loading'); raise ValueError('no such   quantization\\n group 128')"
    with pytest.raises(ServerFailedError) as failed:
        ServerProcess(python(code, tmp_path / "log"))
    assert str(failed.value) == "ValueError: no such quantization"


def test_a_server_that_never_becomes_healthy_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with pytest.raises(ServerFailedError, match="not healthy in time"):
        ServerProcess(python(code, log, seconds=5.0))
    wait_until_ended(int(log.read_text().split()[0]))


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("", "it wrote nothing"),
        ("INFO loading\nINFO killed by the kernel\n\n", "INFO killed by the kernel"),
        (
            "(EngineCore pid=7) ERROR 11-30 [core.py:9] Traceback (most recent call last):\n"
            "(EngineCore pid=7) ERROR 11-30 [core.py:9] ValueError: Weight input_size = 576 is not divisible by 128\n"
            "(EngineCore pid=7) ValueError: Weight input_size = 576 is not divisible by 128\n"
            "(APIServer pid=6) RuntimeError: Engine core initialization failed. See root cause above.\n",
            "ValueError: Weight input_size = 576 is not divisible by 128",
        ),
        (
            "(APIServer pid=1) WARNING 11-30 [utils.py:255] This may cause `OSError: [Errno 24] Too many files`.\n"
            "(EngineCore pid=2) ModuleNotFoundError: No module named 'vllm.logger'\n",
            "ModuleNotFoundError: No module named 'vllm.logger'",
        ),
        ("RuntimeError: Engine core initialization failed.", "RuntimeError: Engine core initialization failed."),
        ("torch.OutOfMemoryError: CUDA out of memory.", "OutOfMemoryError: CUDA out of memory."),
    ],
)
def test_the_cause_is_the_error_that_is_no_consequence(log: str, cause: str) -> None:
    assert cause_in(log) == cause


def test_a_missing_library_is_named_before_what_failed_for_lack_of_it() -> None:
    """As vLLM 0.32 in an image without libnuma: it warns, and ends a minute later."""
    log = """
WARNING [cpu.py:661] Failed to import from vllm._C_AVX2: ImportError('libnuma.so.1: cannot open shared object file: No')
ERROR [core.py:1] AttributeError: '_OpNamespace' '_C' object has no attribute 'init_cpu_memory_env'
"""
    assert cause_in(log) == (
        "its environment lacks libnuma.so.1; AttributeError: '_OpNamespace' '_C' object has no attribute"
        " 'init_cpu_memory_env'"
    )


def test_a_failed_start_names_its_own_cause_and_not_that_of_an_earlier_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for cause in ("ValueError: too long", "MemoryError: too large"):
        kind, _, text = cause.partition(": ")
        with pytest.raises(ServerFailedError) as failed:
            ServerProcess(python(f"raise {kind}({text!r})", log))
        assert str(failed.value) == cause
    assert "too long" in log.read_text()
    with pytest.raises(ServerFailedError, match="its last line: none"):
        ServerProcess(python("import time; time.sleep(600)", log, seconds=0.5))


def test_no_proxy_is_between_the_runner_and_its_server(tmp_path: Path) -> None:
    """The environment is that of a pod whose proxy does not answer; urllib reads it once in a process."""
    code = """
        import sys
        from pathlib import Path
        from compression_runner.evaluation.serving.client import Client, Request
        from compression_runner.inference.serving.server import ServerProcess
        from compression_runner.inference.serving.vllm import version_at
        from tests.support.completions_server import command
        with ServerProcess(command(Path(sys.argv[1]))) as server:
            with Client(server.url, Request("model", [[1, 2]], 3, exact=True, timeout=60.0)) as client:
                print(version_at(server.url), len(client.ask(0).tokens))
    """
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), f"http://127.0.0.1:{free_port()}")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path), **proxies}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "log")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["1.2.3", "3"], done.stderr


def test_the_stand_in_is_a_server_of_this_kind(tmp_path: Path) -> None:
    with ServerProcess(command(tmp_path / "log")) as server:
        assert server.start_seconds > 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error": {"message": "at most 80\\ntokens", "code": 400}}', "status 400: at most 80 tokens"),
        ("Internal Server Error", "status 400: Internal Server Error"),
        ("", "status 400: no message"),
    ],
)
def test_an_answer_of_errors_has_the_words_of_the_server(tmp_path: Path, body: str, words: str) -> None:
    code = f"""
import http.server, sys
class Refusing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        self.send_response(400); self.end_headers(); self.wfile.write({body.encode()!r})
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Refusing).serve_forever()
"""
    with ServerProcess(python(code, tmp_path / "log")) as server, pytest.raises(StatusError) as refused:
        read(f"{server.url}/v1/completions", 10, {"prompt": [1]})
    assert str(refused.value) == words
