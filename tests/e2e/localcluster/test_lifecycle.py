"""Start and stop of the whole cluster, on an isolated machine."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from localcluster import cluster
from localcluster.paths import REPOSITORY

HERE = Path(__file__).parent


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces, mounts and cgroups need root")
def test_a_cluster_starts_from_any_state_and_leaves_the_machine_as_it_was() -> None:
    """Run lifecycle.py. All of its processes end with it."""
    # The isolated machine has no network and uses the files that are built and downloaded here.
    cluster.prepare()
    with tempfile.TemporaryDirectory(prefix="co-") as workdir:  # pytest's path is too long for the kubelet's sockets
        result = subprocess.run(
            [HERE / "isolated.sh", workdir, sys.executable, HERE / "lifecycle.py"],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=540,
            check=False,
        )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-6000:]
