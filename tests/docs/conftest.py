"""A clone, the local cluster, and the programs of a reader: once for all pages."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from demo.installation import install_chart, object_store
from localcluster import containers, images
from localcluster.paths import REPOSITORY
from samples.text import minilm
from tests.docs.scenes import MODEL, REGISTRY
from tests.docs.stage import Stage, clear, clone, write_programs
from tests.support import hub_server


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Where the pages are played; afterwards the local cluster has its own operator again, and no images of ours.

    With BUILT, a folder, images are kept there for the next session.
    """
    subprocess.run([sys.executable, "-m", "localcluster", "up"], check=True, cwd=REPOSITORY)
    folder, scratch, models = (tmp_path_factory.mktemp(name) for name in ("clone", "scratch", "hub"))
    clone(folder)
    write_programs(scratch / "bin", folder)
    minilm(models / MODEL)
    with hub_server.serving(models) as hub:
        made = Stage(folder, scratch, object_store(), hub.url)
        yield made
        clear(made)
        install_chart()
        if "BUILT" not in os.environ:
            pushed = [name for name in containers.images() if name.startswith(REGISTRY)]
            containers.remove_images(pushed) if pushed else None
            images.clean()
