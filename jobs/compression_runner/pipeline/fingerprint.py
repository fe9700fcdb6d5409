"""Fingerprints: what a step's output depends on, as one hash; the same fingerprint means that it need not run again."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from compression_runner.stages.method import Method

SCHEME = 2
"""Raised where results change that no method's version stands for: of how models and data are read, above all."""


def of_source(identity: str) -> str:
    """The fingerprint of a model as it lies at its source."""
    return _hash({"scheme": SCHEME, "source": identity})


def of_step(parent: str, method: Method, parameters: Mapping[str, Any], data: dict[str, str] | None = None) -> str:
    """The fingerprint of a step: its input's, its method's version and libraries, its parameters, and its data.

    It is known before anything runs, as every step gives the same output for the same input.
    """
    return _hash(
        {
            "scheme": SCHEME,
            "parent": parent,
            "method": method.name,
            "version": method.version,
            "libraries": {name: version(name) for name in method.libraries},
            "parameters": dict(parameters),
            "data": data,
        }
    )


def _hash(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:40]
