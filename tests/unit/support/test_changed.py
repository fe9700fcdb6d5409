"""Which tests `make check` runs for a change."""

from pathlib import Path

import pytest

from tests.support.changed import ELSEWHERE, MOST_FILES, PAGES, ROOT, UNIT, for_changes, imports

IMPORTS_COST = "from compressionjob.cost import price\n"
CONTENT = {
    "charts/test_generated.py": "",
    "compression_runner/formats/test_onnx_files.py": "",
    "compression_runner/storage/test_s3.py": "",
    "compression_runner/test_run.py": "from compression_runner.stages.method import Method\n",
    "compressionjob/test_examples.py": IMPORTS_COST,
    "compressionjob/test_verdict.py": "",
    "docs/test_commands.py": "",
    "docs/test_typed.py": "from tests.docs import (\n    jobs,\n    terminal,\n)\n",
    "docsite/test_site.py": "",
    "kubectl_compress/test_table.py": IMPORTS_COST,
    "support/test_changed.py": "",
}
SOURCES = ("charts/generate.py", "crds/jobs.yaml", "setup.py", "operator/compressionjob/py.typed")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tests = {f"tests/unit/{name}": text for name, text in CONTENT.items()}
    many = {f"tests/unit/compression_runner/formats/headers/test_{i}.py": "" for i in range(MOST_FILES)}
    for name, text in (tests | many | dict.fromkeys(SOURCES, "")).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        (["operator/compressionjob/verdict.py"], ["compressionjob/test_verdict.py"]),
        (["operator/compressionjob/cost.py"], ["compressionjob/test_examples.py"]),
        (["operator/compressionjob/spec.py"], ["compressionjob"]),
        (["operator/compressionjob/spec.py", "operator/compressionjob/verdict.py"], ["compressionjob"]),
        (["jobs/compression_runner/storage/s3/keys.py"], ["compression_runner/storage"]),
        (["jobs/compression_runner/stages/method.py"], ["compression_runner/test_run.py"]),
        (["jobs/compression_runner/formats/onnx.py"], ["compression_runner/formats/test_onnx_files.py"]),
        (["tests/unit/compressionjob/test_verdict.py"], ["compressionjob/test_verdict.py"]),
        (["tests/unit/compressionjob/test_deleted.py"], []),
        (["tests/unit/compressionjob/conftest.py"], ["compressionjob"]),
        (["tests/support/changed.py"], ["support/test_changed.py"]),
        (["tests/docs/terminal.py"], ["docs/test_typed.py"]),
        (["docs/data.md"], ["docs/test_commands.py"]),
        (["docsite/extra.css", "docsite/hooks.py"], ["docsite"]),
        (["charts/generate.py", "charts/compression-operator/values.yaml"], ["charts"]),
        (["crds/jobs.yaml"], ["charts/test_generated.py"]),
        (["examples/local/prune.yaml"], ["compressionjob/test_examples.py"]),
        (["setup.py"], []),
    ],
)
def test_a_change_has_its_tests(tree: Path, changed: list[str], tests: list[str]) -> None:
    assert for_changes(changed, tree)[0] == [f"tests/unit/{name}" for name in tests]


def test_files_without_a_test_are_named(tree: Path) -> None:
    changed = ["setup.py", "crds/jobs.yaml", "demo/deleted.py"]
    assert for_changes(changed, tree) == (["tests/unit/charts/test_generated.py"], ["setup.py"])


@pytest.mark.parametrize(
    ("text", "module", "expected"),
    [
        ("from a.b import c\n", "a.b", True),
        ("from a.b import c\n", "a.b.c", True),
        ("from a.b import (\n    d,\n    c,\n)\n", "a.b.c", True),
        ("def test():\n    import a.b.c\n", "a.b.c", True),
        ("from a.b.c import d\n", "a.b", False),
        ("from a.bc import d\n", "a.b", False),
        ('run([python, "-m", "a.b"])\n', "a.b.__main__", True),
    ],
)
def test_imports(text: str, module: str, expected: bool) -> None:
    assert imports(module, text) == expected


@pytest.mark.parametrize("name", [*(UNIT / test for test in ELSEWHERE.values()), PAGES], ids=str)
def test_the_tests_of_other_files_exist(name: Path) -> None:
    assert (ROOT / name).is_file()


def test_folders_of_unit_tests_mirror_folders_of_the_repository() -> None:
    roots = [ROOT, *(ROOT / name for name in ("operator", "jobs", "tests"))]
    folders = [path.name for path in (ROOT / UNIT).iterdir() if path.is_dir() and any(path.rglob("test_*.py"))]
    assert [name for name in folders if not any((root / name).is_dir() for root in roots)] == []
