"""The contract needs the standard library, pydantic and PyYAML, and nothing else."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import compressionjob

FOLDER: Final = Path(compressionjob.__file__).parent
ALLOWED: Final = frozenset({*sys.stdlib_module_names, "compressionjob", "pydantic", "yaml"})


def packages(text: str) -> Iterator[str]:
    """Yield the top-level packages that a text imports, also within functions."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: str(file.relative_to(FOLDER)))
def test_the_contract_imports_only_allowed_packages(file: Path) -> None:
    assert set(packages(file.read_text())) <= ALLOWED


def test_imports_within_functions_count() -> None:
    text = "import yaml\n\ndef read():\n    import numpy.linalg\n    from torch.nn import Linear\n"
    assert list(packages(text)) == ["yaml", "numpy", "torch"]
