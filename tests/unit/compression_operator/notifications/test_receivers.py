"""The file of receivers: valid settings, and errors that show no secrets."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from compression_operator.__main__ import main
from compression_operator.notifications.receivers import Receivers, read_receivers
from compressionjob.errors import InvalidSpec
from compressionjob.notifications import NOTIFICATION_EVENTS


def write(folder: Path, content: object) -> Path:
    file = folder / "receivers.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return file


def test_a_receiver_needs_a_url_only(tmp_path: Path) -> None:
    file = write(tmp_path, {"receivers": {"ops": {"url": "http://hooks.internal:8080/a?b=c"}}})
    receiver = read_receivers(file).receivers["ops"]
    assert receiver.events == set(NOTIFICATION_EVENTS)
    assert (receiver.timeout, receiver.key_file) == ("10s", None)


def test_all_settings_are_read(tmp_path: Path) -> None:
    settings = {"url": "https://h.example.com", "events": ["Failed"], "timeout": "1500ms", "keyFile": "/etc/keys/ops"}
    receivers = read_receivers(write(tmp_path, {"source": "https://cluster-a", "receivers": {"ops": settings}}))
    assert receivers.source == "https://cluster-a"
    assert receivers.subscriptions == {"ops": frozenset({"Failed"})}
    assert receivers.receivers["ops"].key_file == Path("/etc/keys/ops")


@pytest.mark.parametrize("content", ["", "receivers: {}\n"])
def test_no_receivers_are_fine(tmp_path: Path, content: str) -> None:
    assert read_receivers(write(tmp_path, content)) == Receivers()
    assert read_receivers(None) == Receivers()


URL = "notifications.receivers.ops.url"
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({}, URL, "add it"),
    ({"url": "ftp://h/secret"}, URL, "http(s)://HOST"),
    ({"url": "https:///secret"}, URL, "http(s)://HOST"),
    ({"url": "https://user:secret@h/"}, URL, "without user, password"),
    ({"url": "https://h/secret#x"}, URL, "fragment"),
    ({"url": "https://h:99999/secret"}, URL, "http(s)://HOST"),
    ({"url": "https://h/se cret"}, URL, "http(s)://HOST"),
    ({"url": "h/secret"}, URL, "http(s)://HOST"),
    ({"ulr": "https://h/secret"}, "notifications.receivers.ops.ulr", "no such field"),
    ({"url": "https://h/", "events": ["Done"]}, "notifications.receivers.ops.events", "Completed"),
    ({"url": "https://h/", "events": []}, "notifications.receivers.ops.events", "at least 1"),
    ({"url": "https://h/", "timeout": "2m"}, "notifications.receivers.ops.timeout", "at most 60s"),
    ({"url": "https://h/", "timeout": "soon"}, "notifications.receivers.ops.timeout", "a duration above 0"),
]


@pytest.mark.parametrize(("receiver", "field", "says"), WRONG)
def test_invalid_receivers_name_field_value_and_remedy(
    tmp_path: Path, receiver: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(InvalidSpec) as caught:
        read_receivers(write(tmp_path, {"receivers": {"ops": receiver}}))
    problems = [problem for problem in caught.value.problems if problem.field.startswith(field)]
    assert problems, caught.value.problems
    assert says in problems[0].remedy
    assert "secret" not in str(caught.value)


def test_names_are_dns_labels_and_bounded(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"notifications\.receivers\.Ops"):
        read_receivers(write(tmp_path, {"receivers": {"Ops": {"url": "https://h/"}}}))
    many = {f"r{number}": {"url": "https://h/"} for number in range(33)}
    with pytest.raises(InvalidSpec, match="at most 32"):
        read_receivers(write(tmp_path, {"receivers": many}))


@pytest.mark.parametrize(
    ("content", "says"), [("receivers: [", "line 1"), ("- a", "notifications"), (b"\xff\xfe\x00", "UTF-8")]
)
def test_unreadable_file_is_reported(tmp_path: Path, content: str | bytes, says: str) -> None:
    file = tmp_path / "receivers.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidSpec, match=says):
        read_receivers(file)


def test_the_operator_does_not_start_with_wrong_receivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, {"receivers": {"ops": {"url": "nowhere"}}})
    monkeypatch.setattr("sys.argv", ["compression-operator", "run", f"--notifications={file}", "--log-format=text"])
    assert main() == 2
    assert "notifications.receivers.ops.url: 'nowhere' is not valid: must be http(s)" in capsys.readouterr().err


def test_a_key_that_cannot_be_used_is_named_at_the_start(tmp_path: Path) -> None:
    missing = {"url": "https://h/", "keyFile": str(tmp_path / "absent")}
    receivers = read_receivers(write(tmp_path, {"receivers": {"ops": missing, "plain": {"url": "https://h/"}}}))
    (problem,) = receivers.unusable_keys()
    assert str(tmp_path / "absent") in problem
