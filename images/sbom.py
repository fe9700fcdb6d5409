"""Write bills of materials of images in CycloneDX JSON: ``python -m images.sbom operator runner --output FOLDER``.

A bill lists the Python and Debian packages in the image's files. Build the image first
(`python -m localcluster images build`).
"""

import argparse
import importlib.metadata
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from packageurl import PackageURL

from images.licences import Unlicensed, licence_of
from images.lock import Locked
from localcluster import images

DPKG: Final = Path("var/lib/dpkg/status")
ENVIRONMENTS: Final = "opt/**/lib/python3.*/site-packages"
INSTALLED: Final = "install ok installed"


class BillError(Exception):
    """A folder is not the root of an image of this project, or its bill does not fit the schema."""


def bill(root: Path, image: str, version: str) -> str:
    """Return the bill of materials of the image whose files are at ``root``. Raises BillError."""
    bom = Bom()
    component = Component(type=ComponentType.CONTAINER, name=image, version=version, bom_ref=f"{image}:{version}")
    bom.metadata.component = component
    components = [*_python(root), *_debian(root)]
    if not any(item.purl and item.purl.type == "pypi" for item in components):
        raise BillError(f"{root}: there is no Python environment below opt/")
    for item in components:
        bom.components.add(item)
    bom.register_dependency(component, components)
    text: str = JsonV1Dot6(bom).output_as_string(indent=2)
    validate(text)
    return text


def validate(text: str) -> None:
    """Validate a bill against CycloneDX's schema. Raises BillError with the first error."""
    from cyclonedx.validation.json import JsonStrictValidator  # with jsonschema's formats, seconds of CPU time

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        raise BillError(f"the bill does not fit CycloneDX's schema: {error}")


def packages_of(text: str, kind: str) -> dict[str, str]:
    """Return the packages of a kind of package URL ("pypi", "deb") in a bill, with their versions."""
    components = json.loads(text).get("components", ())
    return {item["name"]: item["version"] for item in components if item.get("purl", "").startswith(f"pkg:{kind}/")}


def _python(root: Path) -> Iterator[Component]:
    seen: set[tuple[str, str]] = set()
    for folder in sorted(root.glob(ENVIRONMENTS)):
        for distribution in importlib.metadata.distributions(path=[str(folder)]):
            name = distribution.name.lower().replace("_", "-").replace(".", "-")
            if (name, distribution.version) in seen:
                continue
            seen.add((name, distribution.version))
            component = _component(name, PackageURL("pypi", None, name, distribution.version))
            try:
                licence = licence_of(Locked(name, distribution.version), distribution.metadata)
            except Unlicensed:
                pass  # the bill lists every package; images.licences checks the licences
            else:
                component.licenses.add(LicenseFactory().make_from_string(licence))
            yield component


def _debian(root: Path) -> Iterator[Component]:
    """Yield the installed Debian packages, with the Debian suite of the image."""
    status, release = root / DPKG, root / "etc" / "os-release"
    if not status.is_file():
        raise BillError(f"{root}: there is no {DPKG}")
    lines = release.read_text().splitlines() if release.is_file() else []
    suite = next((line.partition("=")[2].strip('"') for line in lines if line.startswith("VERSION_CODENAME=")), "")
    for paragraph in status.read_text().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") == INSTALLED:
            qualifiers = {"arch": fields["Architecture"]} | ({"distro": suite} if suite else {})
            yield _component(
                fields["Package"],
                PackageURL("deb", "debian", fields["Package"], fields["Version"], qualifiers),
            )


def _component(name: str, purl: PackageURL) -> Component:
    return Component(type=ComponentType.LIBRARY, name=name, version=purl.version, purl=purl, bom_ref=purl.to_string())


def main(arguments: list[str] | None = None) -> int:
    """Write the bills of built images; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m images.sbom", description="bills of materials of built images")
    parser.add_argument("names", nargs="+", choices=images.NAMES, metavar="NAME", help=", ".join(images.NAMES))
    parser.add_argument("--output", type=Path, default=Path(), metavar="FOLDER", help="the current folder by default")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        with images.mounted(name) as root:
            target = options.output / f"compression-{name}.cdx.json"
            target.write_text(bill(root, f"compression-{name}", images.tag()))
        sys.stdout.write(f"{target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
