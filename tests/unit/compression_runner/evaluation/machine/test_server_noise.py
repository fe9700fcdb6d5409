"""Work and waiting of servers are those of the measurement."""

import subprocess
import sys
from pathlib import Path

from compression_runner.evaluation.machine.server_noise import read_with_servers

BUSY = (
    "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass\nprint(1, flush=True); input()"
)


def test_the_work_of_a_session_counts_as_own() -> None:
    before = read_with_servers([])
    server = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert server.stdout
    server.stdout.readline()
    with_server, without = read_with_servers([server.pid]), read_with_servers([])
    server.communicate(b"\n")
    assert with_server.own - before.own >= 0.5
    assert with_server.own - without.own >= 0.4


def test_other_sessions_and_ended_processes_do_not_count(tmp_path: Path) -> None:
    for number, session in ((7, 7), (8, 9)):
        folder = tmp_path / str(number)
        (folder / "task" / str(number)).mkdir(parents=True)
        (folder / "stat").write_text(f"{number} (a) b) S 1 {number} {session} 0 0 0 0 0 0 0 100 50 7 3 20\n")
        (folder / "task" / str(number) / "schedstat").write_text("1 2000000000 3\n")
    (tmp_path / "10").mkdir()
    (tmp_path / "stat").write_text("cpu 1 2 3 4 5 6 7 8 0 0\n")
    own = tmp_path / "self" / "task" / "1"
    own.mkdir(parents=True)
    (own / "schedstat").write_text("1 1000000000 3\n")
    alone, served = read_with_servers([], tmp_path), read_with_servers([7], tmp_path)
    assert served.waited is not None
    assert alone.waited is not None
    assert round(served.waited - alone.waited, 6) == 2.0
    assert 1.5 <= served.own - alone.own <= 1.7
