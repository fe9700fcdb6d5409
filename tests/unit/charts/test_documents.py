"""The settings in the documents are valid values of the chart."""

import re
from pathlib import Path

import pytest

from charts.generate import CHART
from localcluster import tools
from localcluster.command import run

ROOT = CHART.parent.parent
PAGES = [ROOT / "docs" / "install.md", CHART / "README.md", *sorted((ROOT / "docs" / "runbooks").glob("*.md"))]
SETTINGS = sorted(
    {
        (page.name, setting.strip("'`"))
        for page in PAGES
        for setting in re.findall(r"--set[ =]('[^']+'|[\w.,=-]+)", page.read_text())
    }
)


def test_the_documents_have_settings() -> None:
    assert len(SETTINGS) >= 6


@pytest.mark.parametrize(("page", "setting"), SETTINGS, ids=lambda value: value)
def test_a_setting_in_a_document_is_valid(page: str, setting: str) -> None:
    run([tools.helm(), "template", "demo", CHART, f"--set={setting}"], remedy=f"See {page}.")


VALUES = re.findall(r"```yaml\n(# values.yaml\n.*?)```", (ROOT / "docs" / "install.md").read_text(), flags=re.DOTALL)
RENDERED = (
    "image: registry.example.com/ml/compression-operator:0.1.0",
    "namespace: team-b",
    "name: compression-operator-dashboards",
    "value: http://proxy.example.com:3128",
    "name: company-ca",
)
"""What each of them adds."""


def test_every_example_of_values_is_tested() -> None:
    assert len(VALUES) == len(RENDERED)


@pytest.mark.parametrize(("values", "expected"), list(zip(VALUES, RENDERED, strict=False)), ids=RENDERED)
def test_the_examples_of_values_are_valid(tmp_path: Path, values: str, expected: str) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(values)
    apis = ("--api-versions=monitoring.coreos.com/v1/ServiceMonitor", "--api-versions=monitoring.coreos.com/v1")
    rendered = run([tools.helm(), "template", "compression-operator", CHART, f"--values={file}", *apis])
    assert expected in rendered


def test_the_example_of_receivers_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(
        r"```yaml\n(# values.yaml\n.*?)```", (ROOT / "docs" / "notifications.md").read_text(), re.DOTALL
    )
    file = tmp_path / "values.yaml"
    file.write_text(block)
    rendered = run([tools.helm(), "template", "demo", CHART, f"--values={file}"])
    assert "url: https://hooks.example.com/compression" in rendered
    assert "name: ml-platform-webhook" in rendered


def test_the_local_clusters_values_are_valid() -> None:
    rendered = run([tools.helm(), "template", "demo", CHART, f"--values={ROOT / 'localcluster' / 'values.yaml'}"])
    assert "image: localhost/compression-operator-base:local" in rendered
