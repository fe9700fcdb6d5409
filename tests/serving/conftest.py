"""A real vLLM, as its image installs it."""

from collections.abc import Iterator

import pytest

from compressionjob.pod_interface import ENGINES_VARIABLE
from tests.support.engine_environments import installed, is_installed


@pytest.fixture(scope="session")
def vllm_installed() -> Iterator[None]:
    """Name the folder of engines, as a pod's image does. Of the session, so that nothing is made before a skip."""
    if not is_installed("vllm"):
        pytest.skip("vLLM is not installed: `make test-serving` installs it once, 6 GB")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENGINES_VARIABLE, str(installed("vllm")))
        yield
