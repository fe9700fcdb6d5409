"""helm with a test's API server and a separate home, without the user's plugins, cache and repositories."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcluster import tools
from localcluster.command import run

CHART = Path(__file__).parents[3] / "charts" / "compression-operator"
API = "compression-operator.io/v1alpha1/CompressionRuntime"


@dataclass(frozen=True)
class Helm:
    """helm with one kubeconfig, for releases in one namespace."""

    kubeconfig: Path
    home: Path
    namespace: str = "compression-system"

    def run(self, *arguments: str) -> str:
        """Run helm and return its output. Raises LocalClusterError with its message if it fails."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HELM_")},
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
        }
        return run([tools.helm(), *arguments, "--namespace", self.namespace], env=environment, timeout=120)

    def install(self, name: str, *arguments: str, chart: Path = CHART) -> str:
        """Install a release."""
        return self.run("install", name, str(chart), "--create-namespace", *arguments)

    def upgrade(self, name: str, *arguments: str, chart: Path = CHART) -> str:
        """Upgrade a release."""
        return self.run("upgrade", name, str(chart), *arguments)

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the rendered objects of the chart for a cluster with the API, without the test pod."""
        text = self.run("template", "demo", str(CHART), "--api-versions", API, "--skip-tests", *arguments)
        return [item for item in yaml.safe_load_all(text) if item]

    def manifest_kinds(self, name: str) -> list[str]:
        """Return the kinds of a release's objects, without hooks."""
        return [item["kind"] for item in yaml.safe_load_all(self.run("get", "manifest", name)) if item]


def previous_chart(folder: Path) -> Path:
    """Write a chart like an earlier version: without spec.ttl, and with less memory in its CPU runtime."""
    chart = folder / "previous"
    shutil.copytree(CHART, chart)
    metadata = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(json.dumps({**metadata, "version": "0.0.1", "appVersion": "0.0.1"}))
    definition = chart / "files" / "crds" / "compressionjobs.yaml"
    crd = yaml.safe_load(definition.read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["ttl"]
    # Rules use the field, and the format of the file must stay: the template inserts text after "metadata:".
    spec.pop("x-kubernetes-validations", None)
    definition.write_text("# An earlier version.\n" + yaml.safe_dump(crd, sort_keys=False))
    values = yaml.safe_load((chart / "values.yaml").read_text())
    values["runtimes"]["cpu"]["resources"] = {"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}}
    (chart / "values.yaml").write_text(yaml.safe_dump(values))
    return chart
