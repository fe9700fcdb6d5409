"""The vocabulary check covers defined names and text for readers, and nothing else."""

import ast
from pathlib import Path

import pytest

from wording.names import forbidden_names
from wording.text import forbidden_words, forbidden_words_in_python

FILE = Path("example.py")


@pytest.mark.parametrize(
    "source",
    [
        "told = 1",
        "def what_was_told(): pass",
        "async def is_told(): pass",
        "class ToldOf: pass",
        "class Walk: pass",
        "def f(asked): pass",
        "self.last_news = 1",
        "for found in []: pass",
        "PATIENCE = 1",
        "import numpy as lesson",
        "try: pass\nexcept ValueError as told: pass",
        "match 1:\n  case found: pass",
    ],
)
def test_a_defined_name_with_a_forbidden_word_is_listed(source: str) -> None:
    assert len([*forbidden_names(FILE, ast.parse(source))]) == 1


@pytest.mark.parametrize(
    "source",
    [
        "raise FileNotFoundError",
        "NOT_FOUND = 404",
        "ast.walk(told)",
        "import story",
        "foundry = boulder = 1",
        "mended = 1",
    ],
)
def test_a_name_that_is_only_used_or_published_or_has_another_meaning_is_not_listed(source: str) -> None:
    assert not [*forbidden_names(FILE, ast.parse(source))]


def test_the_name_of_a_file_counts() -> None:
    assert [*forbidden_names(Path("operator/patience.py"), ast.parse(""))] == [(0, "patience.py", "retry, backoff")]


def test_words_of_text_are_listed_with_their_line_and_remedy() -> None:
    text = "One line.\nNobody was Told; retold and self-told stay."
    assert [*forbidden_words(text)] == [(2, "Nobody", "no user"), (2, "Told", "reported, stated, recorded")]


def test_strings_and_comments_of_python_are_text_and_its_names_are_not() -> None:
    source = 'told = """first\nit tells"""; told = f"{told} mended"  # nobody knows\n'
    assert [(line, word) for line, word, _ in forbidden_words_in_python(source)] == [
        (2, "tells"),
        (2, "mended"),
        (2, "nobody"),
    ]
