"""Fingerprints: a hash of everything that a step's output depends on; an equal fingerprint makes a run unnecessary."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from compression_runner.inference.versions import library_version
from compression_runner.stages.method import Method

SCHEME = 2
"""Increased when results change without a change of a method's version, for example by reading models or data."""


def of_source(identity: str) -> str:
    """Return the fingerprint of a source model."""
    return _hash({"scheme": SCHEME, "source": identity})


def of_step(parent: str, method: Method, parameters: Mapping[str, Any], data: dict[str, str] | None = None) -> str:
    """Return the fingerprint of a step: its input's, its method's version and libraries, its parameters, and its data.

    It is known before the step runs, as every step is deterministic.
    """
    return _hash(
        {
            "scheme": SCHEME,
            "parent": parent,
            "method": method.name,
            "version": method.version,
            "libraries": {name: library_version(name) for name in method.libraries},
            "parameters": dict(parameters),
            "data": data,
        }
    )


def _hash(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:40]
