"""`python -m wording [PATH ...]`: list words that may not appear in names and text; 1 where there are any.

PATH is a tracked file or folder; the whole repository by default.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wording.names import forbidden_names
from wording.text import forbidden_words, forbidden_words_in_python

PROSE: Final = frozenset({".md", ".yaml", ".yml", ".txt", ".tpl", ".toml", ".sh", ".Dockerfile", ""})
EXEMPT: Final = frozenset({"wording/words.py", "tests/unit/wording/test_vocabulary.py", "CHANGELOG.md", "LICENSE"})
"""The list and its test, the words of earlier versions, and a text by others."""


def main() -> int:
    """Print each forbidden word with its place and what to write; return the exit code."""
    marks = [mark for path in _tracked(sys.argv[1:]) for mark in _check(path)]
    for line in marks:
        _say(line)
    _say(f"vocabulary: {len(marks)} words to replace; wording/words.py lists them")
    return 1 if marks else 0


def _tracked(paths: list[str]) -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z", "--", *paths], check=True, capture_output=True, text=True)
    return [Path(name) for name in listing.stdout.split("\0") if name and name not in EXEMPT and Path(name).is_file()]


def _check(path: Path) -> Iterator[str]:
    if path.suffix == ".py":
        source = path.read_text()
        words = [*forbidden_names(path, ast.parse(source)), *forbidden_words_in_python(source)]
    elif path.suffix in PROSE and not path.is_symlink():
        words = [*forbidden_words(path.read_text(errors="replace"))]
    else:
        return
    for line, word, remedy in sorted(words):
        yield f"{path}:{line}: {word}: write {remedy}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
