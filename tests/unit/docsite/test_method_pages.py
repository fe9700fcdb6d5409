"""Each method has a page with the same sections in the same order, and with tables that come from the contract."""

import re
from pathlib import Path
from typing import Final

import pytest

from docsite import included, methods

OVERVIEWS: Final = ("methods/README.md", "quantize/README.md", "results.md")
PAGES: Final = [page for page in sorted(methods.FOLDER.rglob("*.md")) if not str(page).endswith(OVERVIEWS)]
ORDER: Final = ["Minimal manifest", "Parameters", "What it needs", "Limits", "Cost", "Results", "Sources"]
"""Sections of every page; a page may have others between them."""


def ids(page: Path) -> str:
    return page.stem


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_a_page_has_the_sections_in_order(page: Path) -> None:
    headings = re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)
    kinds = ["Parameters" if heading.startswith("Parameters of") else heading for heading in headings]
    assert list(dict.fromkeys(kind for kind in kinds if kind in ORDER)) == ORDER


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_a_page_is_as_generated(page: Path) -> None:
    assert page.read_text() == methods.render(page), "run: make generate"


@pytest.mark.parametrize("name", methods.CLASSES)
def test_every_method_has_its_three_tables(name: str) -> None:
    blocks = [match for page in PAGES for match in methods.BLOCK.finditer(page.read_text()) if match[3] == name]
    assert sorted(match[2] for match in blocks) == ["examples", "parameters", "promises"]
    (fields,) = [match[0] for match in blocks if match[2] == "parameters"]
    for field, info in methods.CLASSES[name].model_fields.items():
        alias = info.alias or field
        assert alias == "method" or f"`{alias}" in fields


@pytest.mark.parametrize("name", methods.CLASSES)
def test_every_method_has_an_example(name: str) -> None:
    """A list without a link would be an empty sentence."""
    assert "](" in "".join(methods.examples(methods.CLASSES[name], PAGES[0]))


def test_data_is_described_by_the_parameters_that_need_it() -> None:
    text = "\n".join(methods.promises(methods.CLASSES["WeightOnly"], PAGES[0]))
    assert "calibration data with `algorithm` `gptq` or `awq` or with `dtype` `mixed`." in text
    assert "| `dtype: int4` | 0.3 | – | 0.1 |" in text


def test_the_page_on_adding_a_method_shows_the_files_that_a_test_runs() -> None:
    for page, text in included.files().items():
        assert page.read_text() == text, "run: make generate"
    shown = included.BLOCK.findall(text)
    assert [path for _, path, _ in shown] == [
        "tests/support/new_method/parameters.py",
        "tests/support/new_method/work.py",
    ]
