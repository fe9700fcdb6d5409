"""The documentation site builds without warnings, and works without a network."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from docsite import lists, reference
from localcluster.command import run
from localcluster.paths import REPOSITORY

LOADED: Final = re.compile(r"<(?:script|img|link)[^>]+(?:src|href)=\"?(https?://[^\"\s>]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    run([str(REPOSITORY / ".venv/bin/mkdocs"), "build", "--strict", "--quiet", "--site-dir", str(folder)])
    return folder


def test_readme_is_the_first_page_and_its_links_stay_on_the_site(site: Path) -> None:
    text = (site / "index.html").read_text()
    targets = re.findall(r'href="?([\w./-]+\.(?:html|yaml))', text)
    assert "install.html" in targets
    assert [target for target in targets if not (site / target).is_file()] == []


def test_pages_load_nothing_from_other_sites(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    assert {page.name: loaded for page in pages if (loaded := LOADED.findall(page.read_text()))} == {}


def test_linked_examples_are_on_the_site(site: Path) -> None:
    assert (site / "files/examples/reranker-int8.yaml").read_text().startswith("# A reranker")


def test_the_reference_has_every_field_of_every_kind() -> None:
    for file in sorted((REPOSITORY / "crds").glob("*.yaml")):
        crd = yaml.safe_load(file.read_text())
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        page = reference.files()[reference.FOLDER / f"{crd['spec']['names']['singular']}.md"]
        for part in ("spec", "status"):
            for name in schema["properties"].get(part, {}).get("properties", {}):
                assert f"| `{name}`" in page, f"{file.name}: {part}.{name}"


def test_every_manifest_and_every_runbook_is_listed() -> None:
    for page, text in lists.files().items():
        suffix = "*.yaml" if page.parent.name == "examples" else "Compression*.md"
        assert [file.name for file in page.parent.glob(suffix) if f"({file.name})" not in text] == []
