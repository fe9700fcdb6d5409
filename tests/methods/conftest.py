"""Session fixtures that the tests on real data share."""

import pytest

from tests.methods.bench import EmbeddingBenchmark
from tests.methods.passed_before import pytest_collection_modifyitems, pytest_runtest_makereport

__all__ = ["bench", "pytest_collection_modifyitems", "pytest_runtest_makereport"]


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingBenchmark:
    """Return MiniLM as a graph, with sentences to calibrate with and others to measure on."""
    return EmbeddingBenchmark(tmp_path_factory.mktemp("minilm"))
