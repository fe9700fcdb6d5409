"""Which tests `make check` runs for a change."""

from pathlib import Path

import pytest

from tests.support.changed import for_changes


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("compressionjob/test_verdict.py", "compression_runner/storage/test_s3.py", "docs/test_commands.py"):
        file = tmp_path / "tests" / "unit" / name
        file.parent.mkdir(parents=True)
        file.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        (["operator/compressionjob/verdict.py"], ["tests/unit/compressionjob/test_verdict.py"]),
        (["operator/compressionjob/cost.py"], ["tests/unit/compressionjob"]),
        (["operator/compressionjob/cost.py", "operator/compressionjob/verdict.py"], ["tests/unit/compressionjob"]),
        (["jobs/compression_runner/storage/s3/keys.py"], ["tests/unit/compression_runner/storage"]),
        (["tests/unit/compressionjob/test_verdict.py"], ["tests/unit/compressionjob/test_verdict.py"]),
        (["tests/unit/compressionjob/test_deleted.py"], []),
        (["docs/data.md"], ["tests/unit/docs/test_commands.py"]),
        (["crds/compressionjobs.yaml", "setup.py"], []),
    ],
)
def test_a_change_has_its_tests(tree: Path, changed: list[str], tests: list[str]) -> None:
    assert for_changes(changed, tree) == tests
