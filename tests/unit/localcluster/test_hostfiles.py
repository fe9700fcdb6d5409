"""The layer of the pods' image: packages of this machine with their dependencies only."""

import tarfile
from pathlib import Path

import pytest

from localcluster import hostfiles
from localcluster.errors import LocalClusterError
from localcluster.hostfiles import Package


def package(name: str, *needs: tuple[str, ...]) -> Package:
    return Package(name, "all", "1", needs)


def test_installed_packages_and_dependencies_are_read_from_dpkg(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = "python3-minimal (= 3.11.2), libpython3-stdlib:any (>= 3), media-types | mime-support"
    lines = (
        f"python3\tamd64\t3.11.2\tinstalled\t{needs}",
        "gone\tall\t1\tconfig-files\t, ",
        "libc6\tamd64\t2.36\ttriggers-pending\t, ",
        "libc6\ti386\t2.35\tinstalled\t, ",
    )
    answers = {"dpkg": "amd64\n", "dpkg-query": "\n".join(lines) + "\n"}
    monkeypatch.setattr(hostfiles, "run", lambda argv: answers[argv[0]])
    alternatives = (("python3-minimal",), ("libpython3-stdlib",), ("media-types", "mime-support"))
    assert hostfiles.installed() == {
        "python3": Package("python3", "amd64", "3.11.2", alternatives),
        "libc6": Package("libc6", "amd64", "2.36", ()),
    }


def test_a_closure_has_each_dependency_once_and_the_installed_alternative() -> None:
    machine = [
        package("python3", ("libc6",), ("mime-support", "media-types"), ("awk",)),
        package("media-types"),
        package("libc6", ("libgcc-s1",)),
        package("libgcc-s1", ("libc6",)),
        package("perl", ("libc6",)),
    ]
    packages = hostfiles.closure(["python3"], {item.name: item for item in machine})
    assert [item.name for item in packages] == ["libc6", "libgcc-s1", "media-types", "python3"]


def test_a_missing_package_is_reported_with_the_remedy() -> None:
    with pytest.raises(LocalClusterError, match="apt-get install tzdata"):
        hostfiles.closure(["libc6", "tzdata"], {"libc6": package("libc6")})


def test_a_layer_has_files_and_byte_code_at_their_resolved_paths(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = tmp_path / "usr" / "lib"
    (library / "__pycache__").mkdir(parents=True)
    for name in ("module.py", "__pycache__/module.pyc", "of-another-package.so", "doc.txt"):
        (library / name).write_text(name)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "made-later.crt").touch()
    listed = [tmp_path / "lib", tmp_path / "lib/module.py", tmp_path / "lib/doc.txt", tmp_path / "lib/left-out.py"]
    words = ["diverted by dash to: /bin/sh.distrib", "/.", *map(str, listed)]
    monkeypatch.setattr(hostfiles, "run", lambda argv: "\n".join(words))
    layer = hostfiles.write_layer(
        tmp_path / "layer.tar", [package("any")], more=[tmp_path / "certificates"], excluded=["*/doc.txt"]
    )
    with tarfile.open(layer) as archive:
        members = {member.name.removeprefix(str(tmp_path).lstrip("/") + "/"): member for member in archive}
    assert sorted(members) == [
        "certificates",
        "certificates/made-later.crt",
        "lib",
        "usr/lib/__pycache__",
        "usr/lib/__pycache__/module.pyc",
        "usr/lib/module.py",
    ]
    assert members["lib"].linkname == "usr/lib"
