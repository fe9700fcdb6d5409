"""The process of a pod has its secrets, and /proc/self/environ does not."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from compression_runner.commands.secret_handover import DESCRIPTOR
from compressionjob.pod_interface import (
    ACCESS_KEY_ID,
    HUB_TOKEN_KEY,
    HUB_TOKEN_VARIABLE,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    Role,
    credential_variable,
)

OF_JOB = {
    HUB_TOKEN_VARIABLE: "hub-value",
    **{credential_variable(role, key): f"{role}-{key}-value" for role in Role for key in (
        ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN)},
}  # fmt: skip
OF_RUNTIME = {SECRET_ACCESS_KEY: "runtime-value", HUB_TOKEN_KEY: "runtime-token"}
PROGRAM = """
import json, os, subprocess
from pathlib import Path
from compression_runner.commands.secret_handover import environment_of_pod
environment = environment_of_pod()
print(json.dumps({
    "given": dict(environment), "own": dict(os.environ), "proc": Path("/proc/self/environ").read_text(),
    "child": subprocess.run(["cat", "/proc/self/environ"], capture_output=True, text=True).stdout,
    "files": [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if os.path.lexists(file)],
}))
"""


@pytest.fixture(scope="module")
def seen() -> Any:
    environment = {**os.environ, **OF_JOB, **OF_RUNTIME, "COMPRESSION_PART": "Run"}
    ended = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def test_the_pod_has_all_variables(seen: dict[str, dict[str, str]]) -> None:
    expected = {**OF_JOB, **OF_RUNTIME, "COMPRESSION_PART": "Run"}
    assert {name: seen["given"].get(name) for name in expected} == expected
    assert DESCRIPTOR not in seen["given"]


def test_no_file_shows_a_secret(seen: dict[str, str]) -> None:
    assert "COMPRESSION_PART=Run" in seen["proc"]
    assert "-value" not in seen["proc"]
    assert "runtime-token" not in seen["proc"]
    assert not any("memfd" in file for file in seen["files"])


def test_libraries_and_other_processes_get_only_the_runtimes_secrets(seen: dict[str, dict[str, str]]) -> None:
    assert {name: seen["own"].get(name) for name in OF_RUNTIME} == OF_RUNTIME
    assert not OF_JOB.keys() & seen["own"].keys()
    assert not any(name in seen["child"] for name in OF_JOB)


def test_without_secrets_the_process_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    from compression_runner.commands import secret_handover

    monkeypatch.setattr(os, "environ", {"COMPRESSION_PART": "Run"})
    assert secret_handover.environment_of_pod() == {"COMPRESSION_PART": "Run"}
