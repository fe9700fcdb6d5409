"""Waiting for CRDs with kubectl."""

from pathlib import Path
from typing import Any

import pytest

from localcluster.kubectl import Kubectl


def crd(status: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "compressionjobs.compression-operator.io"}, "status": status}


def test_wait_for_crds_accepts_crds_without_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new CRD has no conditions for a moment, and `kubectl wait` fails then."""
    established = crd({"conditions": [{"type": "Established", "status": "True"}]})
    stages = [crd({}), crd({"conditions": None}), crd({"conditions": [{"type": "Established", "status": "False"}]})]
    answers = iter([*({"items": [established, stage]} for stage in stages), {"items": [established]}])
    monkeypatch.setattr(Kubectl, "read", lambda self, *arguments: next(answers))
    Kubectl(Path("kubeconfig")).wait_for_crds()
    assert next(answers, None) is None
