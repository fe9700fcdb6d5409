"""Executables built from Go modules, once for each version of their sources."""

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


# The linker drops debug information (-s -w). Without it the compiler uses a tenth less CPU time.
_COMPILER_FLAGS = "-dwarf=false"
# The compiler of a package runs for half a second. Without garbage collection it uses a fifth less CPU time.
_COMPILER_MEMORY = {"GOGC": "off", "GOMEMLIMIT": "1GiB"}
# Without inlining a package compiles in a quarter less CPU time. These packages mostly wait (controllers, node,
# generated clients) or are linked but never run (event targets of the gateway). The API server's libraries, etcd, the
# gateway itself and all encoding stay fully optimized.
_KUBERNETES_NOT_INLINED = (
    "k8s.io/kubernetes/...",
    "k8s.io/client-go/applyconfigurations/...",
    "k8s.io/client-go/informers/...",
    "k8s.io/client-go/kubernetes/...",
    "k8s.io/client-go/listers/...",
)
_VERSITYGW_NOT_INLINED = (
    "github.com/aws/...",
    "github.com/go-ldap/...",
    "github.com/hashicorp/...",
    "github.com/nats-io/...",
    "github.com/segmentio/...",
)
# Clients and controllers of many job types, of which one is used.
_KUEUE_NOT_INLINED = (
    "github.com/kubeflow/...",
    "github.com/ray-project/...",
    "k8s.io/client-go/applyconfigurations/...",
    "k8s.io/client-go/informers/...",
    "k8s.io/client-go/kubernetes/...",
    "k8s.io/client-go/listers/...",
    "sigs.k8s.io/kueue/...",
)


@dataclass(frozen=True)
class Program:
    """An executable and its Go module under localcluster/."""

    name: str
    module: str
    package: str = "."
    linker_flags: str = "-s -w"
    not_inlined: tuple[str, ...] = ()

    def build_flags(self) -> list[str]:
        """Return the flags of `go build`. The later of two flags for a package counts."""
        compiler = {"all": _COMPILER_FLAGS, **dict.fromkeys(self.not_inlined, f"{_COMPILER_FLAGS} -l")}
        return [
            "-trimpath", "-buildvcs=false", *(f"-gcflags={packages}={flags}" for packages, flags in compiler.items()),
            "-ldflags", self.linker_flags,
        ]  # fmt: skip


KUBERNETES = Program(
    "kubernetes", "kubernetes", linker_flags=f"-s -w {_VERSION_FLAGS}", not_inlined=_KUBERNETES_NOT_INLINED
)
PAUSE = Program("pause", "kubernetes", "./pause")
GRAFANA_SCHEMA = Program("grafana-schema", "grafana")
VERSITYGW = Program("versitygw", "versitygw", not_inlined=_VERSITYGW_NOT_INLINED)
NETWORK_POLICIES = Program("network-policies", "networkpolicies", not_inlined=_KUBERNETES_NOT_INLINED)
KUEUE = Program("kueue", "kueue", "sigs.k8s.io/kueue/cmd/kueue", not_inlined=_KUEUE_NOT_INLINED)


def ensure(program: Program) -> Path:
    """Return the program's executable; build it if the cache has none of these sources.

    Raises LocalClusterError if Go is missing or the build fails.
    """
    executable = target(program)
    if executable.exists():
        return executable
    with exclusive(paths.cache() / "locks" / f"go-{program.name}"):
        if not executable.exists():
            _build(program, executable)
            _forget_older(program)
    return executable


def download(program: Program) -> None:
    """Download the program's modules, unless it is built."""
    if not is_built(program):
        _go(program, "mod", "download")


def is_built(program: Program) -> bool:
    """Return whether the executable is in the cache."""
    return target(program).exists()


def target(program: Program) -> Path:
    """Return the path of the executable of these sources."""
    return paths.cache() / "go" / f"{program.name}-{_digest(program)}" / program.name


def _digest(program: Program) -> str:
    digest = hashlib.sha256(repr((program, program.build_flags())).encode())
    module = paths.SOURCES / program.module
    for source in sorted([*module.rglob("*.go"), module / "go.mod", module / "go.sum"]):
        digest.update(str(source.relative_to(module)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def module_folder(program: Program, module: str) -> Path:
    """Return the folder with the sources of a module of the program; download it if missing."""
    _go(program, "mod", "download", module)
    return Path(_go(program, "list", "-m", "-f", "{{.Dir}}", module).strip())


def _build(program: Program, executable: Path) -> None:
    executable.parent.mkdir(parents=True, exist_ok=True)
    unfinished = executable.with_suffix(".unfinished")
    _go(program, "build", *program.build_flags(), "-o", unfinished, program.package)
    unfinished.rename(executable)


def _go(program: Program, *arguments: str | Path) -> str:
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    return run(
        [_executable(), *arguments],
        cwd=paths.SOURCES / program.module,
        env={**settings, **_COMPILER_MEMORY},
        remedy="Go 1.24 or newer (1.25 for Kueue) and its module proxy are needed for the first build.",
    )


def _executable() -> str:
    go = shutil.which("go", path=os.environ.get("PATH", "") + ":/usr/local/go/bin")
    if not go:
        raise LocalClusterError("Go is not installed. Install Go 1.24 or newer.")
    return go


def _forget_older(program: Program) -> None:
    # Some builds stay for other clones with other sources.
    builds = sorted((paths.cache() / "go").glob(f"{program.name}-*"), key=lambda folder: folder.stat().st_mtime)
    for folder in builds[:-_KEPT_BUILDS]:
        shutil.rmtree(folder, ignore_errors=True)
