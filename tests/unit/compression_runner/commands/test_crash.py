"""An unexpected exception writes a crash report without secrets, and one line that names it."""

import logging
import sys
from pathlib import Path

import pytest
import yaml

from compression_runner.commands import run as command
from compression_runner.commands.crash import CrashReporter, crash_report, without_secrets
from compression_runner.storage.directory import DirectoryStore
from compression_runner.telemetry.progress import RunProgress
from compressionjob.report import Violation
from compressionjob.spec import parse_job
from tests.support.manifests import job

REPORT = "crash-report.txt"


def crash(reporter: CrashReporter, error: BaseException) -> None:
    """Raise like a library within a stage, and end like Python."""
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 - what the hook is for
        reporter(type(caught), caught, caught.__traceback__)


def test_the_message_names_the_file_next_to_the_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    progress, left = RunProgress([]), list[Violation]()
    reporter = CrashReporter(progress, left.append)
    reporter.job = parse_job(job())
    reporter.reports = DirectoryStore(str(tmp_path), tmp_path, "spec.output.reports")
    with pytest.raises(KeyError), progress.phase("quantize"):
        raise KeyError("weights")
    crash(reporter, KeyError("weights"))
    text = (tmp_path / REPORT).read_text()
    for part in ("KeyError: 'weights'", "in quantize (1 of 1)", "method: magnitude", "torch==", "python 3."):
        assert part in text
    (message,) = caplog.messages
    assert "KeyError) ended the run in quantize" in message
    assert f"attach {tmp_path / REPORT} to a bug report" in message
    assert "Traceback" not in caplog.text
    (violation,) = left
    assert (violation.reason, violation.sentence() in message.replace("\n  to do: ", "; ")) == ("Unexpected", True)
    assert "leave" not in violation.remedy


def test_a_pods_log_has_the_traceback_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reporter = CrashReporter(traces=True)
    reporter.reports = DirectoryStore(str(tmp_path), tmp_path, "spec.output.reports")
    crash(reporter, ZeroDivisionError())
    assert caplog.records[0].exc_info


def test_without_a_reports_location_a_temporary_file_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "file").write_text("no directory")
    for store in (None, DirectoryStore("reports", tmp_path / "file" / "reports", "spec.output.reports")):
        caplog.clear()
        reporter = CrashReporter()
        reporter.reports = store
        crash(reporter, ZeroDivisionError())
        place = Path(caplog.messages[-1].split("attach ")[1].split(" to a bug")[0])
        assert place.parent == tmp_path
        assert "ZeroDivisionError" in place.read_text()


def test_an_interrupt_writes_no_crash_report(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    crash(CrashReporter(), KeyboardInterrupt())
    assert not caplog.messages
    assert "KeyboardInterrupt" in capsys.readouterr().err


def test_no_secret_is_in_the_report() -> None:
    environment = {
        "MODEL_AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "HF_TOKEN": "hub-token-of-a-user",
        "DB_PASSWORD": "hunter22",
        "HOME": "/home/someone",
        "SHORT_TOKEN": "a",
    }
    secrets = ("wJalrXUtnFEMI", "hub-token-of-a-user", "hunter22", "hf_abcdefghij", "AKIAABCDEFGHIJKLMNOP", "pass:word")
    said = f"keys {secrets[:3]} {secrets[3]} {secrets[4]} at https://pass:word@store/x?X-Amz-Signature=f00&b=1"
    report = crash_report(ValueError(said), parse_job(job(spec__notifications=["team-hook"])), None, environment)
    assert not [secret for secret in (*secrets, "f00&", "team-hook", "/home/someone") if secret in report]
    assert "at https://[hidden]@store/x?X-Amz-Signature=[hidden]&b=1" in report
    assert without_secrets("a banana", environment) == "a banana"


def test_the_crash_report_stays_in_the_work_directory_until_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The hook is Python's last step before it ends with status 1; no traceback is on the terminal."""

    def fail(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("compression_runner.pipeline.run.execute", fail)
    monkeypatch.setattr("compression_runner.telemetry.logs.configure", lambda **_named: None)
    monkeypatch.setattr("compression_runner.commands.run.exit_on_sigterm", lambda: None)
    manifest = tmp_path / "job.yaml"
    manifest.write_text(yaml.safe_dump(job()))
    with caplog.at_level(logging.CRITICAL), pytest.raises(RuntimeError, match="a bug") as caught:
        command.run(manifest, tmp_path / "work", publish=False)
    sys.excepthook(caught.type, caught.value, caught.tb)
    assert "RuntimeError: a bug" in (tmp_path / "work" / REPORT).read_text()
    assert str(tmp_path / "work" / REPORT) in caplog.messages[-1]
    with pytest.raises(RuntimeError):
        command.run(manifest, tmp_path / "work", publish=False)
    assert not (tmp_path / "work" / REPORT).exists()
