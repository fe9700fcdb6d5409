"""The lock file is compared with local advisories."""

import json
from pathlib import Path
from typing import Any

import pytest

from images.advisories import findings, main
from images.lock import LOCK, Locked, locked


def advisory(name: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": [*events]}]}
    return {"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "summary": "reads any file", "affected": [affected], **more}


@pytest.mark.parametrize(
    ("version", "affected"),
    [("1.0", True), ("1.1.9", True), ("1.2", False), ("1.9", False), ("2.0", True), ("2.1", True), ("2.1.1", False)],
)
def test_a_version_is_affected_from_introduced_to_fixed_or_last_affected(version: str, affected: bool) -> None:
    events = ({"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0"}, {"last_affected": "2.1"})
    matches = findings([Locked("py-yaml", version)], [advisory("Py_YAML", *events)])
    assert bool(matches) is affected


def test_a_finding_names_advisory_summary_and_remedy() -> None:
    (finding,) = findings([Locked("a", "1.0")], [advisory("a", {"introduced": "0"}, {"fixed": "1.2"})])
    assert str(finding) == "a 1.0: PYSEC-1 (CVE-2026-1): reads any file; fixed in 1.2"
    (finding,) = findings([Locked("a", "1.0")], [advisory("a", {"introduced": "0"})])
    assert str(finding).endswith("no fixed version is known")


def test_listed_versions_count_and_other_ecosystems_and_withdrawn_advisories_do_not() -> None:
    listed = {"id": "X", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1.0"]}]}
    assert findings([Locked("a", "1.0")], [listed])
    assert not findings([Locked("a", "1.1")], [listed])
    other = {"id": "X", "affected": [{"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1.0"]}]}
    assert not findings([Locked("a", "1.0")], [other])
    assert not findings([Locked("a", "1.0")], [listed | {"withdrawn": "2026-01-01T00:00:00Z"}])
    commits = {
        "package": {"ecosystem": "PyPI", "name": "a"},
        "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}],
    }
    assert not findings([Locked("a", "1.0")], [{"id": "X", "affected": [commits]}])


def test_the_lock_of_this_repository_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pyyaml,) = [item for item in locked() if item.name == "pyyaml"]
    folder = tmp_path / "PyPI"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(advisory("PyYAML", {"introduced": "0"}, {"fixed": pyyaml.version})))
    assert main([str(folder)]) == 0
    (folder / "b.json").write_text(json.dumps(advisory("PyYAML", {"introduced": pyyaml.version})))
    capsys.readouterr()
    assert main([str(folder)]) == 1
    said = capsys.readouterr().out
    assert f"pyyaml {pyyaml.version}: PYSEC-1" in said
    assert "2 advisories, 1 findings" in said
    assert main([str(folder), "--ignore", "CVE-2026-1", "--lock", str(LOCK)]) == 0


def test_a_folder_without_advisories_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    (tmp_path / "a.json").write_text("[]")
    assert main([str(tmp_path)]) == 2
    assert "is not an advisory in OSV's format" in capsys.readouterr().err
