"""Helpers of the local cluster that need no server."""

import json
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from localcluster import imagearchive, leftovers, mounts, network, paths, ports, processes
from localcluster.command import run
from localcluster.errors import LocalClusterError
from localcluster.waiting import until

_FOREIGN = """\
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A POSTROUTING -s 10.244.0.0/24 -m comment --comment compression-operator-local -j MASQUERADE
COMMIT
"""


def test_a_failed_program_is_reported_with_its_output_and_the_remedy() -> None:
    with pytest.raises(LocalClusterError, match=r"ended with 3\. Do this\.\s+bad thing"):
        run(["sh", "-c", "echo bad thing; exit 3"], remedy="Do this.")


def test_a_missing_program_is_reported_with_the_remedy() -> None:
    with pytest.raises(LocalClusterError, match=r"no-such-program is not installed\. Install it\."):
        run(["no-such-program"], remedy="Install it.")


def test_a_timeout_names_the_condition() -> None:
    with pytest.raises(LocalClusterError, match="The moon rises within 0 s did not happen"):
        until("The moon rises", lambda: False, 0.0)


def test_a_port_that_is_taken_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not ports.is_free(listener.getsockname()[1], "127.0.0.1")
    assert ports.is_free(ports.free(), "127.0.0.1")


def test_an_image_archive_is_one_layer_with_a_history(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("content")
    layer = imagearchive.layer_of(tmp_path / "layer.tar", {"/bin/program": program})
    imagearchive.write(tmp_path / "image.tar", "localhost/name:tag", layer, command=["/bin/program"])
    with tarfile.open(tmp_path / "image.tar") as archive:
        members = {member.name: archive.extractfile(member) for member in archive}
        read = {name: json.load(file) for name, file in members.items() if file and name.endswith(".json")}
    assert read["manifest.json"] == [
        {"Config": "config.json", "RepoTags": ["localhost/name:tag"], "Layers": ["layer.tar"]}
    ]
    assert len(read["config.json"]["rootfs"]["diff_ids"]) == len(read["config.json"]["history"]) == 1
    assert read["config.json"]["config"]["Cmd"] == ["/bin/program"]


def test_mounts_are_listed_with_the_deepest_first() -> None:
    points = mounts.below([Path("/sys/fs")])
    assert Path("/sys/fs/cgroup") in points
    assert Path("/proc") not in points
    assert points == sorted(points, key=lambda path: len(path.parts), reverse=True)


def test_chains_of_another_kubernetes_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(network, "BRIDGE", "no-such-bridge")
    monkeypatch.setattr(network, "_SAVED", tmp_path / "sysctls.json")
    monkeypatch.setattr(network, "run", lambda argv: _FOREIGN)
    assert network.another_kubernetes()
    assert network.rules() == [line for line in _FOREIGN.splitlines() if "compression-operator-local" in line]
    (tmp_path / "sysctls.json").write_text("{}")
    assert not network.another_kubernetes()
    assert len(network.rules()) == 3


def test_only_the_clusters_own_files_count_as_remains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    links, results = tmp_path / "links", tmp_path / "results"
    for folder in (links, results):
        folder.mkdir()
    (links / "ours").symlink_to(paths.logs() / "pods" / "0.log")
    (links / "theirs").symlink_to(tmp_path / "0.log")
    for name in ("compression-operator-local-1f-eth0", "cni-loopback-1f-lo", "cni-loopback-2e-lo", "theirs-2e-eth0"):
        (results / name).touch()
    monkeypatch.setattr(leftovers, "_POD_LOG_LINKS", links)
    monkeypatch.setattr(leftovers, "_CNI_RESULTS", results)
    names = [path.name for path in leftovers.find()]
    assert names == ["ours", "cni-loopback-1f-lo", "compression-operator-local-1f-eth0"]


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(processes, "RECORDS", tmp_path / "records")
    return tmp_path / "records"


def recorded(name: str) -> processes.Identity:
    until(f"{name} is recorded", lambda: processes.recorded(name) is not None, 10)
    identity = processes.recorded(name)
    assert identity is not None
    return identity


def test_a_recorded_process_can_be_stopped(records: Path, tmp_path: Path) -> None:
    processes.start("sleeper", ["sleep", "600"], tmp_path / "log")
    identity = recorded("sleeper")
    assert processes.names() == ["sleeper"]
    processes.stop(["sleeper"])
    assert not identity.is_alive()
    assert processes.names() == []


def test_a_reused_process_id_is_not_mistaken(records: Path, tmp_path: Path) -> None:
    processes.start("sleeper", ["sleep", "600"], tmp_path / "log")
    identity = recorded("sleeper")
    assert not processes.Identity(identity.pid, identity.start + 1).is_alive()
    record = records / "sleeper"
    boot, stat = record.read_text().split("\n", 1)
    record.write_text(f"{boot[::-1]}\n{stat}")  # as if before a reboot
    assert processes.recorded("sleeper") is None
    identity.signal(signal.SIGKILL)


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        identity = processes.identify(process.pid)
        assert identity is not None
        before = time.monotonic()
        processes.end([identity], grace=0.1)
        assert time.monotonic() - before >= 0.1
    assert process.returncode == -signal.SIGKILL
