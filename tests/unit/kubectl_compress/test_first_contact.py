"""First commands of a new user: flags before the command, list, logs, and a manifest from a model."""

import argparse
import json
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import yaml

from compressionjob.spec import parse_job
from compressionjob.status import PHASES as ALL_PHASES
from compressionjob.tasks import TASKS
from kubectl_compress import model_config
from kubectl_compress.__main__ import main
from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.init import manifest_text, name_of
from kubectl_compress.commands.listing import reports_table
from kubectl_compress.commands.logs import logs, pods_of, readable
from kubectl_compress.completion import PHASES, Completion
from kubectl_compress.errors import Invalid, PluginError
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job
from kubectl_compress.kubectl import Kubectl
from kubectl_compress.model_config import read_local, read_on_hub, task_of
from kubectl_compress.options import flags_after_command
from tests.support.hub_server import serving
from tests.support.screens import drawn, job, judged, notes_of, terminal, text_of


@pytest.mark.parametrize(
    ("words", "arranged"),
    [
        (["-n", "ml", "status"], ["status", "-n", "ml"]),
        (
            ["--namespace=ml", "--context", "prod", "status", "a"],
            ["status", "--namespace=ml", "--context", "prod", "a"],
        ),
        (["-A", "status"], ["status", "-A"]),
        (["--phase", "Failed", "list"], ["list", "--phase", "Failed"]),
        (["--help"], ["--help"]),
        (["status", "-n", "ml"], ["status", "-n", "ml"]),
        (["-n"], ["-n"]),
    ],
)
def test_flags_may_stand_before_the_command(words: list[str], arranged: list[str]) -> None:
    assert flags_after_command(words) == arranged


@pytest.mark.parametrize("words", [["-n", "ml", "list", "--phase", "Foo"], ["status", "--phase=Foo"]])
def test_an_unknown_phase_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == ExitCode.INVALID
    assert "there is no such phase" in capsys.readouterr().err


def test_a_phase_in_lower_case_gets_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--phase", "failed"]) == ExitCode.INVALID
    assert "did you mean Failed?" in capsys.readouterr().err
    assert PHASES == ALL_PHASES


def test_commands_are_completed_after_flags() -> None:
    def offered(*words: str) -> list[str]:
        return [line.split("\t")[0] for line in Completion().of(words)[0]]

    assert offered("-n", "ml", "st") == ["status"]
    assert "--namespace" in offered("--n")
    assert offered("init", "x", "--task", "sum") == ["summarization"]


def test_reports_are_listed_with_their_places() -> None:
    lines = drawn(reports_table([job("a", judged()), job("b", judged("Fail", "Failed"))], namespaces=True)).splitlines()
    assert lines[1].split() == ["ml", "a", "Pass", "s3://models/minilm-int8-report/report.json"]
    assert lines[2].split()[:3] == ["ml", "b", "Fail"]
    assert Job(job("a", judged()).raw).brief().report


class Pods(Kubectl):
    """kubectl in front of a job with pods; records its calls."""

    def __init__(self, *names: str) -> None:
        super().__init__((), "ml")
        self.names, self.calls = names, list[tuple[str, ...]]()

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        if "/pods?" not in arguments[-1]:
            return json.dumps(job(status={"phase": "Pending", "message": "waits"}).raw)
        items = [
            {"metadata": {"name": name, "creationTimestamp": f"2026-11-24T12:00:0{index}Z"}}
            for index, name in enumerate(self.names)
        ]
        return json.dumps({"items": items})

    def lines(self, *arguments: str) -> Any:
        self.calls.append(arguments)
        yield '{"time": "2026-11-24T12:00:05.123+00:00", "level": "info", "message": "stage", "stage": "prune"}\n'
        yield "Killed\n"


def given(**flags: Any) -> argparse.Namespace:
    return argparse.Namespace(**({"name": "minilm-int8", "follow": False, "tail": "", "pod": "", "raw": False} | flags))


def test_the_log_of_the_newest_pod_is_read() -> None:
    kubectl, screen = Pods("pod-a", "pod-b"), terminal()
    assert logs(given(follow=True, tail="5"), Cluster(kubectl), screen) is ExitCode.DONE
    assert kubectl.calls == [("logs", "pod-b", "--container=runner", "--namespace=ml", "--follow", "--tail=5")]
    assert text_of(screen).splitlines() == ["12:00:05  info  stage  stage=prune", "Killed"]
    assert "earlier: pod-a" in notes_of(screen)
    assert pods_of(Cluster(kubectl), job()) == ["pod-b", "pod-a"]


def test_logs_without_a_pod_and_of_an_unknown_pod() -> None:
    with pytest.raises(Invalid, match="has no pod whose log could be read; it is Pending: waits") as caught:
        logs(given(), Cluster(Pods()), terminal())
    assert caught.value.remedy == "see: kubectl compress status minilm-int8 -n ml"
    with pytest.raises(Invalid, match="has no such pod") as caught:
        logs(given(pod="x"), Cluster(Pods("pod-a")), terminal())
    assert "pod-a" in caught.value.remedy


def test_a_line_that_is_no_json_stays_as_it_is() -> None:
    assert readable("[1, 2]\n") == "[1, 2]"
    assert readable('{"a": 1}\n') == '{"a": 1}'


@pytest.mark.parametrize("task", TASKS)
def test_the_manifest_of_every_task_is_valid_once_it_is_completed(task: str) -> None:
    text = manifest_text("acme/model", "model", task, "you gave it")
    manifest = yaml.safe_load(text.replace("BUCKET", "models"))
    assert parse_job(manifest).spec.model.task == task
    assert text.count("#") > 10


@pytest.mark.parametrize(
    ("config", "task"),
    [
        ({"architectures": ["BertForSequenceClassification"]}, "text-classification"),
        ({"architectures": ["BertModel"]}, "text-embedding"),
        ({"architectures": ["LlamaForCausalLM"]}, "text-generation"),
        ({"architectures": ["GPT2LMHeadModel"]}, "text-generation"),
        ({"architectures": ["ViTForImageClassification"]}, "image-classification"),
        (
            {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper"},
            "automatic-speech-recognition",
        ),
        ({"architectures": ["BartForConditionalGeneration"], "model_type": "bart"}, "summarization"),
        ({"architectures": ["Wav2Vec2ForCTC"], "model_type": "wav2vec2"}, "automatic-speech-recognition"),
        ({"architectures": ["Wav2Vec2ForSequenceClassification"], "model_type": "wav2vec2"}, "audio-classification"),
        ({"architectures": ["TimesformerForVideoClassification"]}, "video-classification"),
        ({"architectures": ["BertForQuestionAnswering"]}, ""),
        ({}, ""),
    ],
)
def test_the_task_is_that_of_the_head(config: dict[str, Any], task: str) -> None:
    assert task_of(config) == task


def test_local_folder_gives_the_task_and_the_upload_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "My_Model"
    folder.mkdir()
    assert read_local(folder) == ("", "no config.json")
    (folder / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    assert main(["init", str(folder)]) == 0
    text = capsys.readouterr().out
    assert f"aws s3 cp --recursive {folder} s3://BUCKET/my-model" in text
    assert "task: text-classification   # config.json names BertForSequenceClassification" in text
    target = tmp_path / "job.yaml"
    assert main(["init", str(folder), "--save", str(target)]) == 0
    assert main(["init", str(folder), "--save", str(target)]) == ExitCode.INVALID
    (folder / "config.json").write_text("{")
    assert read_local(folder)[0] == ""
    assert main(["init", str(folder)]) == ExitCode.INVALID
    assert main(["submit", str(target)]) == ExitCode.INVALID
    assert "put the name of your bucket there" in capsys.readouterr().err


def test_a_repository_of_the_hub_is_read_over_its_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "acme" / "bert"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    with serving(tmp_path) as hub:
        hub.token = "secret"
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", "secret")
        assert read_on_hub("acme/bert")[0] == "text-classification"
        monkeypatch.setenv("HF_TOKEN", "wrong")
        with pytest.raises(PluginError, match="there is no such model, or it is not public"):
            read_on_hub("acme/bert")


def test_task_is_read_from_the_hub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[tuple[str, ...]] = []

    def fetch(*what: str) -> Any:
        calls.append(what)
        return {"architectures": ["BertModel"]} if what[-1] == "config.json" else None

    monkeypatch.setattr(model_config, "_fetch", fetch)
    assert read_on_hub("hf://acme/bert@v1") == ("text-embedding", "config.json names BertModel")
    assert calls[-1] == ("acme/bert", "v1", "config.json")

    def away(*_what: str) -> Any:
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(model_config, "_fetch", away)
    assert main(["init", "acme/bert"]) == ExitCode.INVALID
    reported = capsys.readouterr().err
    assert "the Hub does not answer (Name or service not known)" in reported
    assert "--task TASK" in reported
    assert main(["init", "acme/bert", "--task", "text-embeding"]) == ExitCode.INVALID
    assert "did you mean text-embedding?" in capsys.readouterr().err
    assert main(["init", "./nothing"]) == ExitCode.INVALID


@pytest.mark.parametrize(
    ("model", "name"),
    [("acme/My_Model.v2", "my-model-v2"), ("hf://a/b@main", "b"), ("./x/model.onnx", "model"), ("s3://m/K/", "k")],
)
def test_a_job_is_named_after_its_model(model: str, name: str) -> None:
    assert name_of(model) == name
