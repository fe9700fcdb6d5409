"""What is waited for through kubectl."""

from pathlib import Path
from typing import Any

import pytest

from localcluster.kubectl import Kubectl


def crd(status: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "compressionjobs.compression-operator.io"}, "status": status}


def test_a_crd_without_conditions_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the API server shows it for a moment after it is created; `kubectl wait` ends with an error then."""
    established = crd({"conditions": [{"type": "Established", "status": "True"}]})
    stages = [crd({}), crd({"conditions": None}), crd({"conditions": [{"type": "Established", "status": "False"}]})]
    answers = iter([*({"items": [established, stage]} for stage in stages), {"items": [established]}])
    monkeypatch.setattr(Kubectl, "read", lambda self, *arguments: next(answers))
    Kubectl(Path("kubeconfig")).wait_for_crds()
    assert next(answers, None) is None
