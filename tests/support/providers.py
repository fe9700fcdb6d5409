"""Another execution provider in the place of a GPU's, since machines of tests have no GPU."""

from types import MappingProxyType

import pytest

from compression_runner.evaluation.machine import execution
from compression_runner.inference import gpu, providers
from compression_runner.inference.providers import ExecutionProvider


def use_provider(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the engine onnxruntime-cuda use the provider `name`."""
    replaced = MappingProxyType({**providers.PROVIDERS, "onnxruntime-cuda": ExecutionProvider(name, (), "as stored")})
    for module in (providers, gpu, execution):
        monkeypatch.setattr(module, "PROVIDERS", replaced)
