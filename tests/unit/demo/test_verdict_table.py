"""The demo's verdict table."""

from pathlib import Path
from typing import Any, cast

import pytest

from demo import __main__ as demo
from demo.__main__ import show

MEMORY = {
    "name": "memory", "unit": "bytes", "direction": "at most", "limit": 2**30, "measured": 104e6, "low": 100e6,
    "high": 108e6, "verdict": "Pass",
}  # fmt: skip


def test_a_figure_is_shown_in_the_unit_of_its_limit(capsys: pytest.CaptureFixture[str]) -> None:
    show({"verdict": "Pass", "confidence": "0.95", "objectives": [MEMORY]})
    shown = capsys.readouterr().out
    assert "at most 1Gi" in shown
    assert "99.2Mi" in shown


def test_an_objective_that_was_not_measured_has_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    open_limit = {key: MEMORY[key] for key in ("name", "unit", "direction", "limit")} | {"verdict": "Inconclusive"}
    show({"verdict": "Inconclusive", "objectives": [open_limit]})
    (row,) = (line for line in capsys.readouterr().out.splitlines() if "memory" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["memory", "at most 1Gi", "-", "-", "Inconclusive"]


class _Failed:
    """A cluster in which every job fails before it is measured."""

    kubeconfig, bucket, prefix = Path("kubeconfig"), "models", ""

    class store:  # noqa: N801
        @staticmethod
        def list_objects_v2(**_: str) -> dict[str, Any]:
            return {}

    @staticmethod
    def manifest(text: str) -> str:
        return text


def test_a_job_that_fails_before_its_verdict_is_shown_with_its_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = {"type": "Failed", "status": "True", "reason": "StorageUnavailable", "message": "the store is away"}
    monkeypatch.setattr(demo.Kubectl, "run", lambda *_, **__: "")
    monkeypatch.setattr(demo, "follow", lambda *_: {"status": {"phase": "Failed", "conditions": [failed]}})
    assert demo.run_example(cast(Any, _Failed), "minilm-int8", "a job") == "None"
    shown = capsys.readouterr().out
    assert "Failed=True StorageUnavailable: the store is away" in shown
    assert "report: none: the job ended before it was measured" in shown
    assert "objective" not in shown
