"""A job is followed to its end, even if the server ends a watch earlier."""

import json
from pathlib import Path
from typing import Any

import pytest

from demo import watch
from demo.watch import JobTimeoutError, follow
from localcluster import tools


def job(phase: str) -> dict[str, Any]:
    return {"metadata": {"name": "one"}, "status": {"phase": phase}}


def kubectl(folder: Path, *phases: str) -> Path:
    """Write a program that replaces kubectl: each run prints the next phase and ends."""
    for number, phase in enumerate(phases):
        (folder / f"{number}.json").write_text(json.dumps(job(phase), indent=1) + "\n")
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\ncd {folder}\nset -- [0-9].json\ncat $1\nif [ $# -gt 1 ]; then rm $1; fi\n")
    program.chmod(0o755)
    return program


def test_a_watch_that_ends_is_restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = kubectl(tmp_path, "Pending", "Running", "Running", "Succeeded")
    monkeypatch.setattr(tools, "kubectl", lambda: program)
    monkeypatch.setattr(watch, "PAUSE", 0.01)
    said: list[str] = []
    assert follow(tmp_path, "here", "one", said.append)["status"]["phase"] == "Succeeded"
    assert [line.split()[1] for line in said] == ["Pending", "Running", "Succeeded"]


def test_a_timeout_reports_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = kubectl(tmp_path, "Running")
    monkeypatch.setattr(tools, "kubectl", lambda: program)
    monkeypatch.setattr(watch, "PAUSE", 0.01)
    with pytest.raises(JobTimeoutError, match=r"within 1 s; its last state: one +Running"):
        follow(tmp_path, "here", "one", lambda _line: None, seconds=1)
