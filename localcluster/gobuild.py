"""The executables that are built from Go modules, once for each state of their sources."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from localcluster import paths
from localcluster.command import run
from localcluster.errors import LocalClusterError
from localcluster.locks import exclusive

KUBERNETES_VERSION = "v1.34.4"
_KEPT_BUILDS = 3

# Without these, the API server reports `v0.0.0-master+$Format:%H$`, which kubectl and helm cannot parse.
_VERSION_FLAGS = " ".join(
    f"-X {package}.{name}={value}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for name, value in (("gitVersion", KUBERNETES_VERSION), ("gitMajor", "1"), ("gitMinor", "34"))
)


@dataclass(frozen=True)
class Program:
    """An executable and the Go module under localcluster/ that makes it."""

    name: str
    module: str
    package: str
    linker_flags: str


KUBERNETES = Program("kubernetes", "kubernetes", ".", f"-s -w {_VERSION_FLAGS}")
PAUSE = Program("pause", "kubernetes", "./pause", "-s -w")
GRAFANA_SCHEMA = Program("grafana-schema", "grafana", ".", "-s -w")
VERSITYGW = Program("versitygw", "versitygw", "github.com/versity/versitygw/cmd/versitygw", "-s -w")


def ensure(program: Program) -> Path:
    """Return the program's executable, built when this machine has none of these sources yet.

    Raises LocalClusterError where Go is missing or the build fails.
    """
    target = _target(program)
    if target.exists():
        return target
    with exclusive(paths.cache() / "locks" / f"go-{program.name}"):
        if not target.exists():
            _build(program, target)
            _forget_older(program)
    return target


def is_built(program: Program) -> bool:
    """Tell whether ensure() would return at once."""
    return _target(program).exists()


def _target(program: Program) -> Path:
    return paths.cache() / "go" / f"{program.name}-{_digest(program)}" / program.name


def _digest(program: Program) -> str:
    digest = hashlib.sha256(repr(program).encode())
    module = paths.SOURCES / program.module
    for source in sorted([*module.rglob("*.go"), module / "go.mod", module / "go.sum"]):
        digest.update(str(source.relative_to(module)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def _build(program: Program, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    run(
        [_go(), "build", "-trimpath", "-buildvcs=false", "-ldflags", program.linker_flags, "-o", unfinished,
         program.package],
        cwd=paths.SOURCES / program.module,
        env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"},
        remedy="Go 1.24 or newer and its module proxy are needed for the first build.",
    )  # fmt: skip
    unfinished.rename(target)


def _go() -> str:
    found = shutil.which("go", path=os.environ.get("PATH", "") + ":/usr/local/go/bin")
    if not found:
        raise LocalClusterError("Go is not installed. Install Go 1.24 or newer, or set KUBECONFIG to use a cluster.")
    return found


def _forget_older(program: Program) -> None:
    # Some stay for other clones, whose sources may differ from this one's.
    made = sorted((paths.cache() / "go").glob(f"{program.name}-*"), key=lambda folder: folder.stat().st_mtime)
    for folder in made[:-_KEPT_BUILDS]:
        shutil.rmtree(folder, ignore_errors=True)
