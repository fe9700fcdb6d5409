"""The CRDs of the Prometheus Operator."""

import json
from pathlib import Path

from localcluster.command import run

PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"


def monitoring_crds() -> list[Path]:
    """Return the files of the CRDs that the chart uses, from the operator's Go module."""
    module = json.loads(run(["go", "mod", "download", "-json", PROMETHEUS_OPERATOR]))
    folder = Path(module["Dir"]) / "example" / "prometheus-operator-crd"
    return [
        folder / f"monitoring.coreos.com_{kind}.yaml" for kind in ("servicemonitors", "podmonitors", "prometheusrules")
    ]
