"""Check the licences of the packages in the images and command line tools: ``python -m images.licences``.

It writes docs/licences.md from uv.lock and the metadata of the installed packages. An unknown licence, or a licence
whose terms would apply to this project, is an error: read it, and add it to ALLOWED or replace the package.
"""

import importlib.metadata
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from images.lock import Locked, locked

PAGE: Final = Path(__file__).parent.parent / "docs" / "licences.md"
PROPRIETARY: Final = "LicenseRef-NVIDIA"

ALLOWED: Final = frozenset(
    {
        "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
        "CNRI-Python", "HPND", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Unlicense", "Zlib",
    }
)  # fmt: skip
"""Permissive licences."""
FILE_LEVEL: Final = frozenset({"MPL-2.0"})
"""Copyleft for the licensed files only. They are used unchanged, from their own packages."""
SPELLINGS: Final[Mapping[str, str]] = {
    "3-clause bsd license": "BSD-3-Clause", "apache 2": "Apache-2.0", "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0", "apache software license": "Apache-2.0", "bsd": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause", "bsd 3-clause license": "BSD-3-Clause", "bsd license": "BSD-3-Clause",
    "isc license": "ISC", "isc license (iscl)": "ISC", "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0", "nvidia proprietary software": PROPRIETARY,
    "licenseref-nvidia-proprietary": PROPRIETARY, "osi approved :: apache software license": "Apache-2.0",
    "other/proprietary license": PROPRIETARY, "python software foundation license": "PSF-2.0",
}  # fmt: skip
"""Licence names in package metadata, in lower case -> SPDX name. "BSD" alone stands for the 3-clause licence."""
WITHOUT_METADATA: Final[Mapping[str, tuple[str, str]]] = {
    "mlcommons-loadgen": ("Apache-2.0", "LICENSE.md of its repository, mlcommons/inference"),
    "word2number": ("MIT", "the text of the licence in its metadata"),
    "cuda-toolkit": (PROPRIETARY, "a list of NVIDIA's packages, without files of its own"),
}
"""Packages without a licence in their metadata: the licence and its source."""
NVIDIA: Final = re.compile(r"nvidia-(?!ml-py)[a-z0-9-]+|cuda-toolkit")
"""CUDA libraries, which PyPI's torch needs. NVIDIA's own terms apply."""


class Unlicensed(Exception):
    """A package has an unknown or forbidden licence. The text names the package and the licence."""


@dataclass(frozen=True)
class Licensed:
    """A package and its licence as an SPDX expression."""

    package: Locked
    licence: str


def licence_of(package: Locked, metadata: importlib.metadata.PackageMetadata) -> str:
    """Return the licence of a package as an SPDX expression, from its metadata. Raises Unlicensed."""
    if package.name in WITHOUT_METADATA:
        return WITHOUT_METADATA[package.name][0]
    stated_as = (item for item in metadata.get_all("Classifier") or [] if item.startswith("License"))
    classifiers = [item.split(" :: ")[-1] for item in stated_as]
    known = [item for item in classifiers if item.lower() in SPELLINGS or item in ALLOWED]
    stated = (metadata["License-Expression"] or metadata["License"] or "").strip()
    short = stated if stated and "\n" not in stated and len(stated) < 200 else ""
    candidates = [SPELLINGS.get(short.lower(), short), " OR ".join(SPELLINGS.get(it.lower(), it) for it in known)]
    for candidate in candidates:
        if candidate and all(term in _KNOWN for term in _terms(candidate)):
            return candidate
    raise Unlicensed(f"{package.name} {package.version}: {short or stated[:60] or classifiers or 'no licence'}")


def require_allowed(package: Locked, licence: str) -> None:
    """Raise Unlicensed for a licence whose terms would apply to this project, or for one that is proprietary.

    NVIDIA's libraries may be proprietary.
    """
    if PROPRIETARY in licence and not NVIDIA.fullmatch(package.name):
        raise Unlicensed(f"{package.name} {package.version}: {licence}, and only NVIDIA's libraries may be proprietary")
    choices = licence.split(" OR ")
    permitted = ALLOWED | FILE_LEVEL | {PROPRIETARY}
    if not any(all(term in permitted for term in _terms(choice)) for choice in choices):
        raise Unlicensed(f"{package.name} {package.version}: {licence} is copyleft")


def licences(packages: Iterable[Locked]) -> list[Licensed]:
    """Return the licences of the installed packages. Packages for other platforms are left out."""
    licensed = []
    for package in packages:
        try:
            metadata = importlib.metadata.metadata(package.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if metadata["Version"] != package.version:  # for another version of Python
            continue
        licence = licence_of(package, metadata)
        require_allowed(package, licence)
        licensed.append(Licensed(package, licence))
    return licensed


def page() -> str:
    """Return the text of docs/licences.md."""
    parts = {extra: {item.name for item in locked([extra])} for extra in ("operator", "runner", "kubectl-s3")}
    rows = []
    for item in licences(locked()):
        where = ", ".join(name for extra, name in _WHERE.items() if item.package.name in parts[extra])
        rows.append(f"| {item.package.name} | {item.package.version} | {item.licence} | {where} |\n")
    return _HEAD + "".join(rows) + _TAIL


def main() -> int:
    """Write the page; return the exit status."""
    try:
        PAGE.write_text(page())
    except Unlicensed as error:
        sys.stderr.write(f"{error}; read the licence, then add it to images/licences.py or replace the package\n")
        return 1
    return 0


def _terms(expression: str) -> list[str]:
    return [term.strip("() ") for term in re.split(r" AND | OR ", expression)]


_COPYLEFT: Final = {
    "AGPL-3.0-only", "AGPL-3.0-or-later", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later",
    "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later",
}  # fmt: skip
_KNOWN: Final = ALLOWED | FILE_LEVEL | _COPYLEFT | {PROPRIETARY}
_WHERE: Final = {"operator": "operator", "runner": "runner", "kubectl-s3": "kubectl compress"}
_HEAD: Final = """# Licences of dependencies

Check the licences of the Python packages in the images and in `kubectl compress` on Linux. Packages and versions come
from uv.lock, licences from the metadata of the packages. `python -m images.licences` writes this table. This project is
under Apache-2.0 (LICENSE).

| package | version | licence | used by |
|---|---|---|---|
"""
_TAIL: Final = f"""
- A test refuses packages without a known licence, with a copyleft licence that would apply to this project (GPL, LGPL,
  AGPL), or with a proprietary licence. Only NVIDIA's libraries may be proprietary.
- `{PROPRIETARY}`: CUDA's libraries, which PyPI's build of torch needs. Read NVIDIA's terms before you publish an
  image. A runner that is built with TORCH_INDEX has none of them.
- MPL-2.0 applies only to the files of the package itself, which are used unchanged.
- Some wheels contain libraries with other licences, such as libsndfile (LGPL-2.1) in soundfile: the licence
  files in the image name them. Debian's packages are listed in the bill of materials of each image.
"""


if __name__ == "__main__":
    sys.exit(main())
