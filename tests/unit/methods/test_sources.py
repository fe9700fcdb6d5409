"""Dependencies of Python files, in a small repository."""

from pathlib import Path

import pytest

from tests.methods.sources import Sources

FILES = {
    "jobs/runner/__init__.py": "",
    "jobs/runner/__main__.py": "from runner import commands",
    "jobs/runner/commands.py": "def run():\n    from .methods import registry",
    "jobs/runner/methods/__init__.py": "",
    "jobs/runner/methods/registry.py": "from . import prune\nimport torch",
    "jobs/runner/methods/prune.py": "",
    "jobs/runner/page.css": "",
    "jobs/runner/README.md": "",
    "jobs/runner/unused.py": "",
    "samples/__init__.py": "",
    "samples/images.py": "",
    "samples/checkpoint/model.safetensors": "",
    "tests/__init__.py": "",
    "tests/jobs.py": 'RUN = ["python", "-m", "runner", "run"]',
    "tests/data.json": "",
    "tests/test_one.py": "import json\nfrom tests.jobs import RUN",
    "tests/test_two.py": "from samples import images",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def names(root: Path, *files: str) -> set[str]:
    dependencies = Sources(root).dependencies(*(root / file for file in files))
    return {file.relative_to(root).as_posix() for file in dependencies}


def test_imports_in_functions_packages_and_commands_are_dependencies(root: Path) -> None:
    assert names(root, "tests/test_one.py") == {
        "tests/test_one.py",
        "tests/__init__.py",
        "tests/jobs.py",
        "jobs/runner/__init__.py",
        "jobs/runner/__main__.py",
        "jobs/runner/commands.py",
        "jobs/runner/methods/__init__.py",
        "jobs/runner/methods/registry.py",
        "jobs/runner/methods/prune.py",
        "jobs/runner/page.css",
    }


def test_the_data_files_of_a_package_are_dependencies(root: Path) -> None:
    assert names(root, "tests/test_two.py") == {
        "tests/test_two.py",
        "samples/__init__.py",
        "samples/images.py",
        "samples/checkpoint/model.safetensors",
    }
