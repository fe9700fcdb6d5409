"""The exit status of `run`."""

from pathlib import Path
from typing import Any

import pytest

from compression_runner.commands import run as command
from compression_runner.commands.manifest import without_limits
from compressionjob.exit_codes import ExitCode
from compressionjob.spec import parse_job
from compressionjob.verdict import NO_LIMITS_WARNING
from tests.support import manifests
from tests.support.reports import report


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"verdict": "Pass"}, ExitCode.DONE),
        ({"verdict": "NoLimits", "objectives": []}, ExitCode.DONE),
        ({"verdict": "Fail"}, ExitCode.NOT_MET),
        ({"verdict": "Inconclusive"}, ExitCode.NOT_MET),
    ],
)
def test_the_exit_status_is_that_of_the_verdict(
    fields: dict[str, Any], status: ExitCode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_execute", lambda *_, **__: report().model_copy(update=fields))
    assert command.run(Path("job.yaml"), Path("/nowhere"), publish=True) == status
    assert capsys.readouterr().out.startswith(f"{fields['verdict']}: ")


def _job_with(sla: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"spec.sla": sla}
    return manifests.job(**fields)


@pytest.mark.parametrize(
    ("sla", "warnings"), [({"confidence": "0.9"}, [NO_LIMITS_WARNING]), (manifests.job()["spec"]["sla"], [])]
)
def test_a_job_without_limits_is_warned_of(sla: dict[str, Any], warnings: list[str]) -> None:
    assert without_limits(parse_job(_job_with(sla))) == warnings
