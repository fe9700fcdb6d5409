"""`check_libraries.py ENVIRONMENT PACKAGE`: fail if a compiled module of an engine lacks a library of the system.

Runs in the image build, with the standard library alone. An engine may start without such a module, and only fail
when a model is loaded. Libraries that other packages of the environment bring, and those of the GPU's driver, which the
node adds to a container, are not those of the image.
"""

import re
import subprocess
import sys
from pathlib import Path

DRIVER = {"libcuda.so.1", "libnvidia-ml.so.1"}
MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)


def missing_libraries(environment: Path, package: str) -> set[str]:
    """Return the names of missing libraries. Raises FileNotFoundError if the environment lacks the package."""
    folders = list(environment.glob(f"lib/python3*/site-packages/{package}"))
    if not folders:
        raise FileNotFoundError(f"{environment} has no package {package}")
    modules = [module for folder in folders for module in folder.rglob("*.so")]
    brought = {file.name for file in environment.rglob("*.so*")}
    unresolved: set[str] = set()
    for module in modules:
        listed = subprocess.run(["ldd", str(module)], capture_output=True, text=True, check=True)
        unresolved |= set(MISSING.findall(listed.stdout))
    return unresolved - brought - DRIVER


if __name__ == "__main__":
    lacking = sorted(missing_libraries(Path(sys.argv[1]), sys.argv[2]))
    if lacking:
        sys.exit(f"{sys.argv[2]} lacks {', '.join(lacking)}: add the Debian package to images/engines/ENGINE.packages")
