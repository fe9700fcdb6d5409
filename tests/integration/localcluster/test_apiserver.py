"""The API server without nodes, for tests and benchmarks."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster import apiserver
from localcluster.apiserver import APIServer
from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from localcluster.paths import REPOSITORY

_OWNER = """
import sys
from localcluster import apiserver
with apiserver.start() as server:
    print(server.folder, *server.processes.values(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[APIServer]:
    with apiserver.start(controllers=("job", "garbage-collector")) as started:
        yield started


def test_the_version_can_be_parsed_by_kubectl(server: APIServer) -> None:
    assert server.kubectl.read("version")["serverVersion"]["gitVersion"] == "v1.34.4"


def test_a_user_has_the_rights_that_were_granted_and_no_others(server: APIServer) -> None:
    bob = Kubectl(server.user("bob"))
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    server.grant("bob", rules)
    assert bob.run("auth", "can-i", "list", "configmaps", "--all-namespaces").strip() == "yes"
    with pytest.raises(LocalClusterError, match=r'User "bob" cannot list resource "secrets"'):
        bob.run("get", "secrets")


def test_a_service_account_has_its_user_name(server: APIServer) -> None:
    server.kubectl.run("create", "serviceaccount", "robot")
    robot = Kubectl(server.service_account("default", "robot"))
    info = robot.read("auth", "whoami")["status"]["userInfo"]
    assert info["username"] == "system:serviceaccount:default:robot"


def test_the_named_controllers_run(server: APIServer) -> None:
    server.kubectl.run("create", "job", "waiting", "--image=nothing")
    deadline = time.monotonic() + 30
    pods: list[object] = []
    while not pods and time.monotonic() < deadline:
        pods = server.kubectl.read("get", "pods", "--selector=job-name=waiting")["items"]
        time.sleep(0.1)
    assert len(pods) == 1


def test_a_restarted_api_server_keeps_its_objects_and_its_address(server: APIServer) -> None:
    server.kubectl.run("create", "configmap", "kept")
    before = server.processes["kube-apiserver"]
    server.restart()
    assert server.processes["kube-apiserver"] != before
    assert server.kubectl.read("get", "configmap", "kept")["metadata"]["name"] == "kept"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_servers_end_with_the_process(number: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        folder, *pids = owner.stdout.readline().split()
        assert Path(folder).exists()
        owner.send_signal(number)
        owner.wait()
    deadline = time.monotonic() + 20
    left = [Path(folder), *(Path("/proc", pid) for pid in pids)]
    while any(path.exists() for path in left) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [path for path in left if path.exists()]
