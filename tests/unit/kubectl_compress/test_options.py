"""The command line."""

import json
import shlex
from pathlib import Path

import pytest

from compressionjob.errors import InvalidSpec
from compressionjob.review import parse_review
from kubectl_compress import options
from kubectl_compress.__main__ import main
from kubectl_compress.commands.retry import MAX_NAME, checkpoints_of, manifest_of, retry_names
from kubectl_compress.commands.review import review_of
from kubectl_compress.commands.submit import next_name
from kubectl_compress.downloads import fetch, pod_command, report_location
from kubectl_compress.errors import DownloadFailed
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.running import ACTIONS
from tests.support.screens import DIGEST, job, judged

PAGE = Path(__file__).parents[3] / "docs" / "kubectl-compress.md"


def test_every_command_of_the_table_is_run_by_something() -> None:
    assert {command.name for command in options.COMMANDS} == set(ACTIONS)


def test_the_page_about_the_plugin_has_every_command_and_exit_status() -> None:
    page = PAGE.read_text()
    headings = {name for line in page.splitlines() if line.startswith("## ") for name in line[3:].split(", ")}
    assert headings == {command.name for command in options.COMMANDS}
    table = {int(line.split("|")[1]) for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()}
    assert table == {int(code) for code in ExitCode}


def test_kubectl_gets_its_own_flags_and_no_others() -> None:
    given = options.parser("0").parse_args(
        ["status", "a", "-w", "--context=prod", "-n", "ml", "--as", "rita", "--as-group", "x", "--as-group", "y"]
    )
    kubectl = options.kubectl_of(given)
    assert kubectl.flags == ("--context=prod", "--as=rita", "--as-group=x", "--as-group=y")
    assert kubectl.namespace == "ml"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "COMMAND"),
        (["submit"], "FILE"),
        (["compare", "a"], "B"),
        (["approve", "a"], "--reason"),
        (["status", "-o", "yaml"], "invalid choice"),
        (["status", "--wat"], "unrecognized arguments"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == ExitCode.INVALID
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status", "a", "-A"], "a NAME cannot be combined"),
        (["status", "--phase", "Failed", "-w"], "phases change"),
        (["status", "--timeout", "1m"], "--timeout needs --watch"),
        (["status", "a", "-w", "--timeout", "soon"], "must be a duration"),
        (["status", "-w", "-o", "json"], "needs the NAME of a job"),
        (["compare", "a", "a"], "cannot be compared with itself"),
        (["report", "a", "--save", "a.pdf"], ".html, .json, .md"),
        (["approve", "a", "--reason", "  "], "--reason is empty"),
        (["reject", "a", "--reason", "x" * 1025], "at most 1024"),
        (["submit", "/nowhere.yaml"], "cannot be read"),
    ],
)
def test_invalid_flags_are_refused_before_any_request(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(arguments) == ExitCode.INVALID
    assert says in capsys.readouterr().err


def test_a_retry_is_the_same_job_under_another_name() -> None:
    old = job(spec__suspend=True)
    old.raw["metadata"].update(labels={"team": "search"}, annotations={"kubectl.kubernetes.io/x": "y"})
    manifest = manifest_of(old, ["spec.deadline=2h"])
    assert manifest["metadata"] == {
        "labels": {"team": "search"},
        "annotations": {"compression-operator.io/retry-of": "minilm-int8"},
    }
    assert manifest["spec"] == {key: value for key, value in old.spec.items() if key != "suspend"} | {"deadline": "2h"}
    assert checkpoints_of(manifest["spec"]) == "s3://models/minilm-int8-checkpoints"
    assert checkpoints_of({"output": {"destination": "s3://a/b", "checkpoints": "s3://c/d"}}) == "s3://c/d"


def test_names_of_retries_go_on_counting_and_stay_within_their_length() -> None:
    assert retry_names("minilm")[:2] == ["minilm-retry-1", "minilm-retry-2"]
    assert retry_names("minilm-retry-1")[0] == "minilm-retry-2"
    assert max(map(len, retry_names("x" * MAX_NAME))) == MAX_NAME
    assert [next_name("a"), next_name("minilm-int8"), next_name("a-2")] == ["a-2", "minilm-int8-2", "a-3"]


def test_a_review_names_the_result_and_goes_with_its_job() -> None:
    review = review_of(job(status=judged(phase="AwaitingReview")), "Approve", "read it", "rita@example.com")
    checked = parse_review(review | {"metadata": {"name": "x"}})
    assert (checked.spec.reviewer, checked.spec.decision) == ("rita@example.com", "Approve")
    assert (checked.spec.job_uid, checked.spec.digest) == ("uid-minilm-int8", DIGEST)
    assert review["metadata"]["ownerReferences"][0]["uid"] == "uid-minilm-int8"
    with pytest.raises(InvalidSpec, match=r"spec\.reason"):
        parse_review(review | {"metadata": {"name": "x"}, "spec": review["spec"] | {"reason": ""}})


def test_a_report_on_a_claim_comes_with_the_command_that_prints_it() -> None:
    status = judged(report="pvc://results/minilm-int8-report/report.json")
    place = report_location(job(status=status))
    with pytest.raises(DownloadFailed, match="only a pod can read") as raised:
        fetch(place, ".html")
    assert pod_command(place, ".html") in raised.value.remedy
    words = shlex.split(pod_command(place, ".html"))
    overrides = json.loads(next(word for word in words if word.startswith("--overrides=")).split("=", 1)[1])
    (container,) = overrides["spec"]["containers"]
    assert container["command"] == ["cat", "/mnt/pvc/minilm-int8-report/report.html"]
    assert overrides["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "results"}
    assert "--namespace=ml" in words


def test_a_report_on_a_volume_of_the_runtime_is_the_platform_teams() -> None:
    place = report_location(job(status=judged(report="file:///data/report/report.json")))
    with pytest.raises(DownloadFailed, match="volume of the job's runtime"):
        fetch(place, ".json")


def test_the_endpoint_is_the_jobs_unless_another_is_given() -> None:
    assert report_location(job(status=judged())).endpoint == "http://127.0.0.1:7070"
    assert report_location(job(status=judged()), "http://other").endpoint == "http://other"
    assert report_location(job(status=judged())).url(".md") == "s3://models/minilm-int8-report/report.md"
