"""The bill of materials of an image lists the packages in its files, in CycloneDX format."""

import json
from pathlib import Path

import pytest

from images.sbom import BillError, bill, packages_of, validate

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
Description: GNU C Library
 with more: lines

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Write the files of an image with a Python environment with two packages, and Debian packages."""
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("VERSION_CODENAME=bookworm\nID=debian\n")
    packages = tmp_path / "opt/compression/venv/lib/python3.11/site-packages"
    for name, version, licence in (("PyYAML", "6.0.3", "MIT"), ("Odd_One", "1.0", "see LICENSE")):
        folder = packages / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        text = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense: {licence}\n"
        (folder / "METADATA").write_text(text)
    return tmp_path


def test_python_and_debian_packages_are_listed_with_versions_and_licences(root: Path) -> None:
    text = bill(root, "compression-operator", "0.1.0")
    assert packages_of(text, "pypi") == {"odd-one": "1.0", "pyyaml": "6.0.3"}
    assert packages_of(text, "deb") == {"libc6": "2.36-9+deb12u10"}
    content = json.loads(text)
    assert (content["bomFormat"], content["specVersion"]) == ("CycloneDX", "1.6")
    assert content["metadata"]["component"]["name"] == "compression-operator"
    by_name = {item["name"]: item for item in content["components"]}
    assert by_name["pyyaml"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert "licenses" not in by_name["odd-one"]
    assert by_name["libc6"]["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=bookworm"


def test_a_bill_that_does_not_fit_the_schema_is_refused(root: Path) -> None:
    content = json.loads(bill(root, "compression-operator", "0.1.0"))
    content["components"][0]["type"] = "thing"
    with pytest.raises(BillError, match="CycloneDX's schema"):
        validate(json.dumps(content))


def test_a_folder_without_an_image_is_refused(tmp_path: Path, root: Path) -> None:
    with pytest.raises(BillError, match="dpkg"):
        bill(tmp_path / "opt", "x", "1")
    (root / "opt").rename(root / "other")
    with pytest.raises(BillError, match="no Python environment"):
        bill(root, "x", "1")
