"""Version bounds agree in the chart and the documents, and objects are within the size limits of Kubernetes."""

import json
import re
from typing import Final

import pytest
import yaml

from charts.generate import CHART
from compressionjob.crd import definitions
from localcluster.paths import REPOSITORY
from tests.support.bounds import MAX_ANNOTATIONS

NAMES: Final = sorted(definition["metadata"]["name"] for definition in definitions().values())
PAGES: Final = [
    REPOSITORY / "README.md", CHART / "README.md", CHART / "templates" / "NOTES.txt",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]  # fmt: skip
_STATED: Final = re.compile(r"Kubernetes \|? ?(1\.\d+) or newer")


def least_kubernetes() -> str:
    """Return the oldest supported version of Kubernetes, such as 1.31."""
    stated = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    match = re.fullmatch(r">=(1\.\d+)\.0-0", stated)
    assert match is not None, stated
    return match[1]


def test_every_document_states_the_version_of_kubernetes_that_the_chart_needs() -> None:
    required = {
        page.relative_to(REPOSITORY).as_posix(): set(_STATED.findall(page.read_text()))
        for page in PAGES
        if _STATED.search(page.read_text())
    }
    assert {"README.md", "docs/install.md", "docs/api-policy.md", "docs/security.md"} <= set(required)
    assert "charts/compression-operator/templates/NOTES.txt" in required
    assert {page: versions for page, versions in required.items() if versions != {least_kubernetes()}} == {}


@pytest.mark.parametrize("page", ["docs/install.md", "charts/compression-operator/templates/NOTES.txt"])
def test_the_uninstall_notes_name_every_crd(page: str) -> None:
    (command,) = re.findall(r"kubectl delete crd (?:.*\\\n)*.*", (REPOSITORY / page).read_text())
    assert sorted(set(NAMES) - set(re.findall(r"\S+\.compression-operator\.io", command))) == []


@pytest.mark.parametrize("name", sorted(definitions()))
def test_a_crd_fits_into_the_annotation_of_kubectl_apply(name: str) -> None:
    applied = json.dumps(definitions()[name], separators=(",", ":"), ensure_ascii=False)
    assert len(applied.encode()) < MAX_ANNOTATIONS * 0.9, "shorten descriptions or move a part of the schema"


def test_the_api_policy_states_the_bounds_and_the_version() -> None:
    text = (REPOSITORY / "docs" / "api-policy.md").read_text()
    assert f"{MAX_ANNOTATIONS:,} bytes" in text
    assert "1 MiB" in text
    served = {version["name"] for it in definitions().values() for version in it["spec"]["versions"]}
    assert served == {"v1alpha1"}, "docs/api-policy.md describes what else must be done"
