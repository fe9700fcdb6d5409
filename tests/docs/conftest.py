"""The reader's environment for all pages: a clone, the local cluster, and programs."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from demo.installation import install_chart, object_store
from localcluster import containers, images
from localcluster.paths import REPOSITORY
from samples.text import minilm
from tests.docs.reader import ReaderEnvironment, clear, clone, write_programs
from tests.docs.scenes import MODEL, REGISTRY
from tests.support import hub_server


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReaderEnvironment]:
    """Return the reader's environment. Afterwards the local cluster has its own operator again, without these images.

    If the variable BUILT names a folder, images are kept there for the next session.
    """
    subprocess.run([sys.executable, "-m", "localcluster", "up"], check=True, cwd=REPOSITORY)
    folder, scratch, models = (tmp_path_factory.mktemp(name) for name in ("clone", "scratch", "hub"))
    clone(folder)
    write_programs(scratch / "bin", folder)
    minilm(models / MODEL)
    with hub_server.serving(models) as hub:
        environment = ReaderEnvironment(folder, scratch, object_store(), hub.url)
        yield environment
        clear(environment)
        install_chart()
        if "BUILT" not in os.environ:
            pushed = [name for name in containers.images() if name.startswith(REGISTRY)]
            containers.remove_images(pushed) if pushed else None
            images.clean()
