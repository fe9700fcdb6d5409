"""Build of Kueue: its program, image and manifests, once for each version of the sources."""

import os
import tempfile
from pathlib import Path
from typing import Final

from localcluster import gobuild, imagearchive, paths, tools
from localcluster.command import run
from localcluster.kueue import manifests
from localcluster.locks import exclusive
from localcluster.steps import Steps

_MODULE: Final = "sigs.k8s.io/kueue"
_NAME: Final = "localhost/compression-operator-kueue"


def is_built() -> bool:
    """Return whether the program and its manifests are in the cache."""
    return gobuild.is_built(gobuild.KUEUE) and _manifests().exists()


def make() -> None:
    """Build the program and render its manifests, unless they are in the cache."""
    with Steps() as steps:
        modules = steps.add("Go modules of Kueue", lambda: gobuild.download(gobuild.KUEUE))
        slow = "" if gobuild.is_built(gobuild.KUEUE) else "2 to 6 minutes, once"
        built = steps.add("Kueue from source", lambda: gobuild.ensure(gobuild.KUEUE), after=(modules,), slow=slow)
        steps.add("Kueue's manifests", upstream_manifests, after=(built,))


def image() -> str:
    """Return the image's name. Its tag changes with the program."""
    return f"{_NAME}:{gobuild.ensure(gobuild.KUEUE).parent.name.rpartition('-')[2]}"


def archive() -> Path:
    """Return the archive of the image; create it if missing."""
    binary = gobuild.ensure(gobuild.KUEUE)
    target = binary.with_name(f"kueue-image{imagearchive.FORMAT}.tar")
    with exclusive(paths.cache() / "locks" / "kueue-image"), tempfile.TemporaryDirectory(dir=binary.parent) as folder:
        if not target.exists():
            layer = imagearchive.layer_of(Path(folder) / "layer.tar", {manifests.PROGRAM: binary})
            imagearchive.write(target, image(), layer, command=[manifests.PROGRAM])
    return target


def upstream_manifests() -> list[manifests.Object]:
    """Return the manifests of the module's config/default, which are cached beside the program."""
    target = _manifests()
    with exclusive(paths.cache() / "locks" / "kueue-manifests"):
        if not target.exists():
            unfinished = target.with_suffix(".unfinished")
            unfinished.write_text(_render(gobuild.module_folder(gobuild.KUEUE, _MODULE) / "config" / "default"))
            unfinished.rename(target)
    return manifests.parse(target.read_text())


def _manifests() -> Path:
    return gobuild.target(gobuild.KUEUE).with_name("manifests.json")


def _render(folder: Path) -> str:
    rendered = run([tools.kubectl(), "kustomize", folder])
    # The standard library reads JSON but not YAML. A local annotate prints the objects as JSON.
    words = ["annotate", "--local", "--filename=-", "--output=json", "compression-operator.io/local=true"]
    return run([tools.kubectl(), *words], env={"KUBECONFIG": os.devnull}, stdin=rendered)
