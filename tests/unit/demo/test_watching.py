"""A job is followed to its end, though servers end watches before."""

import json
from pathlib import Path
from typing import Any

import pytest

from demo import watching
from demo.watching import JobTimeoutError, follow
from localcluster import tools


def job(phase: str) -> dict[str, Any]:
    return {"metadata": {"name": "one"}, "status": {"phase": phase}}


def kubectl(folder: Path, *phases: str) -> Path:
    """A program in kubectl's place: each time that it is started, it tells the next phase and ends."""
    for number, phase in enumerate(phases):
        (folder / f"{number}.json").write_text(json.dumps(job(phase), indent=1) + "\n")
    place = folder / "kubectl"
    place.write_text(f"#!/bin/sh\ncd {folder}\nset -- [0-9].json\ncat $1\nif [ $# -gt 1 ]; then rm $1; fi\n")
    place.chmod(0o755)
    return place


def test_a_watch_that_ends_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = kubectl(tmp_path, "Pending", "Running", "Running", "Succeeded")
    monkeypatch.setattr(tools, "kubectl", lambda: place)
    monkeypatch.setattr(watching, "PAUSE", 0.01)
    said: list[str] = []
    assert follow(tmp_path, "here", "one", said.append)["status"]["phase"] == "Succeeded"
    assert [line.split()[1] for line in said] == ["Pending", "Running", "Succeeded"]


def test_the_last_state_is_told_when_the_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = kubectl(tmp_path, "Running")
    monkeypatch.setattr(tools, "kubectl", lambda: place)
    monkeypatch.setattr(watching, "PAUSE", 0.01)
    with pytest.raises(JobTimeoutError, match=r"within 1 s; its last state: one +Running"):
        follow(tmp_path, "here", "one", lambda _line: None, seconds=1)
