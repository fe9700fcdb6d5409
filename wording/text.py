"""Words in text that people read: strings and comments of Python files, and pages, manifests and scripts."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Final

from wording.words import IN_TEXT

FORBIDDEN: Final = re.compile(rf"(?<![\w-])({'|'.join(IN_TEXT)})(?![\w-])", re.IGNORECASE)


def forbidden_words(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, word, remedy) of each forbidden word in `text`."""
    for number, line in enumerate(text.splitlines(), 1):
        for match in FORBIDDEN.finditer(line):
            yield number, match.group(), IN_TEXT[match.group().lower()]


def forbidden_words_in_python(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, word, remedy) of each forbidden word in the strings and comments of `source`."""
    for start, text in (*_strings(source), *_comments(source)):
        for number, word, remedy in forbidden_words(text):
            yield start + number - 1, word, remedy


def _strings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
