"""No command prints escape sequences from the cluster, its pods or its users."""

import json
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from rich.live import Live
from rich.text import Text

from compressionjob.plain_text import plain, plain_json
from kubectl_compress.__main__ import main
from kubectl_compress.completion import Completion
from kubectl_compress.completion import main as complete
from kubectl_compress.display import terminal as display
from kubectl_compress.display.console import PlainConsole
from kubectl_compress.kubectl import Kubectl, error_of
from kubectl_compress.options import COMMANDS
from tests.support import manifests
from tests.support.screens import DIGEST, condition, job, judged

HOSTILE = "a\x1b]0;title\x07\x1b[2J\x1b[31m\x9b2J\x90q\x9c\u202etxt\u2066.\u200f\r\x00\x7f\u2028z"
"""Sets the window's title, clears the screen twice, turns the writing around, and overwrites the line."""
MEANT = {
    "phase", "type", "status", "verdict", "decision", "lastTransitionTime", "startTime", "time", "direction", "unit",
    "confidence", "creationTimestamp", "apiVersion", "kind", "task", "uid", "digest", "sizeRatio", "method", "metric",
}  # fmt: skip
"""Fields that are kept as they are: with others the plugin would show nothing at all."""
BY_RICH = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\r")
"""Colours and movements of the cursor."""
REVIEW = {"decision": "Approve", "reviewer": "rita", "reason": "fine", "time": "2026-11-24T12:00:00Z"}


def hostile(value: Any, key: str = "") -> Any:
    """A value whose texts hold escape sequences."""
    if isinstance(value, dict):
        return {name: hostile(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [hostile(item, key) for item in value]
    return value + HOSTILE if isinstance(value, str) and key not in MEANT else value


STATES: dict[str, dict[str, Any]] = {
    "succeeded": judged(anomalies=["size"], message="all hold", stage="x", review=REVIEW, fallback="given up"),
    "failed": {
        "phase": "Failed", "message": "it broke", "reason": "Killed",
        "conditions": [condition("Failed", "True", "Killed", "it broke"), condition("Odd", "False", "Odd", "odd")],
    },
    "waiting": judged(phase="AwaitingReview", message="waits"),
    "pending": {"phase": "Pending", "message": "no room", "conditions": [condition("Scheduled", "False", "X", "why")]},
}  # fmt: skip


class HostileKubectl:
    """kubectl in front of a cluster whose objects a hostile user has written."""

    state = "succeeded"

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Answer as the API server, with escape sequences in every text."""
        if "config" in arguments:
            return "ml"
        if "--no-headers" in arguments:
            return f"x{HOSTILE} Running 1m"
        path = next(item for item in arguments if item.startswith("/api"))
        return json.dumps(self.read(path) if stdin is None else self.created(path, json.loads(stdin)))

    def created(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object, but no job."""
        if "selfsubjectreviews" in path:
            return {"status": {"userInfo": {"username": "rita" + HOSTILE}}}
        if "compressionjobs" in path:
            raise error_of(f"Error from server (Forbidden): no\n{HOSTILE}")
        return body | {"metadata": {"name": "review" + HOSTILE}}

    def read(self, path: str) -> dict[str, Any]:
        """Read a job, or a list."""
        hostile_object: dict[str, Any] = hostile(job(status=STATES[self.state]).raw)
        if self.state == "waiting":  # a review names its job, and no object has such a name
            hostile_object["metadata"]["name"] = "minilm-int8"
        if re.search(r"compressionjobs/[^/?]+", path):
            return hostile_object
        if "compressionjobs" in path:
            return {"items": [hostile_object], "metadata": {"resourceVersion": "1"}}
        return {"items": [{"metadata": {"name": name + HOSTILE}, "spec": {}} for name in ("one", "two")]}

    def lines(self, *arguments: str) -> Generator[str, None, None]:
        """Give the log of a pod, and a watch that begins with an end."""
        if "logs" in arguments:
            yield json.dumps(
                {"time": "2026-11-24T12:00:05Z", "message": HOSTILE, "stage": HOSTILE, "exception": "x\x9b"}
            )
            yield json.dumps({"message": HOSTILE}, ensure_ascii=False) + "\n"
            yield f"progress {HOSTILE}\n"
        else:
            yield json.dumps({"type": "MODIFIED", "object": hostile(job(status=STATES[self.state]).raw)})


COMMAND_LINES: list[tuple[str, list[str]]] = [
    ("succeeded", ["status"]),
    ("succeeded", ["status", "minilm-int8"]),
    ("succeeded", ["status", "minilm-int8", "-o", "json"]),
    ("succeeded", ["status", "minilm-int8", "--watch"]),
    ("failed", ["status", "minilm-int8"]),
    ("failed", ["status", "--watch", "minilm-int8"]),
    ("waiting", ["status", "minilm-int8"]),
    ("pending", ["status", "minilm-int8"]),
    ("pending", ["status", "--phase", "Pending"]),
    ("succeeded", ["list"]),
    ("succeeded", ["list", "--reports"]),
    ("succeeded", ["logs", "minilm-int8"]),
    ("succeeded", ["logs", "minilm-int8", "--raw"]),
    ("succeeded", ["report", "minilm-int8"]),
    ("succeeded", ["report", "minilm-int8", "-o", "json"]),
    ("succeeded", ["compare", "a", "b"]),
    ("succeeded", ["compare", "a", "b", "-o", "json"]),
    ("waiting", ["approve", "minilm-int8", "--reason", HOSTILE, "--yes", "--dry-run"]),
    ("waiting", ["reject", "minilm-int8", "--reason", "no", "--yes", "--dry-run"]),
    ("succeeded", ["approve", "minilm-int8", "--reason", "late", "--yes"]),
    ("failed", ["retry", "minilm-int8"]),
    ("succeeded", ["retry", "minilm-int8"]),
    ("succeeded", ["submit", "FILE"]),
    ("succeeded", ["submit", "BROKEN"]),
    ("succeeded", ["init", "MODEL"]),
]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> HostileKubectl:
    """The hostile cluster behind kubectl."""
    hostile_object = HostileKubectl()
    monkeypatch.setattr(Kubectl, "run", lambda _self, *words, stdin=None: hostile_object.run(*words, stdin=stdin))
    monkeypatch.setattr(Kubectl, "lines", lambda _self, *words: hostile_object.lines(*words))
    return hostile_object


def files(folder: Path) -> dict[str, str]:
    """A manifest, one that is wrong, and a model's folder, with escape sequences in them."""
    wrong = manifests.job("wrong", spec__runtime="cpu" + HOSTILE, **{"spec__unknown" + HOSTILE: 1})
    (folder / "job.json").write_text(json.dumps(manifests.job(spec__runtime="cpu")))
    (folder / "broken.json").write_text(json.dumps(wrong))
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"architectures": ["BertModel" + HOSTILE], "model_type": HOSTILE}))
    return {"FILE": str(folder / "job.json"), "BROKEN": str(folder / "broken.json"), "MODEL": str(model)}


@pytest.mark.parametrize("on_a_terminal", [False, True])
@pytest.mark.parametrize(("state", "words"), COMMAND_LINES, ids=[" ".join(words)[:40] for _, words in COMMAND_LINES])
def test_no_command_prints_escape_sequences(
    state: str, words: list[str], on_a_terminal: bool, cluster: HostileKubectl, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    cluster.state, places = state, files(tmp_path)
    if on_a_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setattr(display, "_console", forced(display._console))
    main([places.get(word, word) for word in words])
    captured = capsys.readouterr()
    assert captured.out + captured.err
    for written in (captured.out, captured.err):
        rest = BY_RICH.sub("", written) if on_a_terminal else written
        assert plain(rest) == rest
    if "json" in words:
        assert any(HOSTILE in text for text in texts(json.loads(captured.out)))


def forced(make: Callable[..., PlainConsole]) -> Callable[..., PlainConsole]:
    """The plugin's consoles as if a terminal were there."""

    def console(*, stderr: bool) -> PlainConsole:
        hostile_object = make(stderr=stderr)
        hostile_object._force_terminal = True
        return hostile_object

    return console


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def test_all_commands_are_covered() -> None:
    assert {words[0] for _, words in COMMAND_LINES} == {command.name for command in COMMANDS}


def test_completion_prints_no_escape_sequences(cluster: HostileKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    assert any("x" in line for line in Completion().of(["status", ""])[0])
    complete(["status", ""])
    written = capsys.readouterr().out
    assert plain(written) == written


def test_live_display_prints_no_escape_sequences(capsys: pytest.CaptureFixture[str]) -> None:
    console = PlainConsole(force_terminal=True, width=80)
    with Live(Text(f"job {HOSTILE}"), console=console, refresh_per_second=50):
        pass
    rest = BY_RICH.sub("", capsys.readouterr().out)
    assert "job a]0;title" in rest
    assert plain(rest) == rest


def test_plain_text_keeps_width_and_letters() -> None:
    assert plain(HOSTILE) == "a]0;title[2J[31m2Jqtxt.z"
    assert plain("größe\t漢字 שלום 😀\n") == "größe\t漢字 שלום 😀\n"
    assert json.loads(plain_json(json.dumps({"a": HOSTILE}, ensure_ascii=False))) == {"a": HOSTILE}
    assert plain(DIGEST) == DIGEST
