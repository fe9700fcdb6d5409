"""Kubeconfig files with embedded certificates, so that they can be copied.

They are JSON, which is also YAML, so that `down` needs only the standard library.
"""

import base64
import json
from pathlib import Path
from typing import Any

from localcluster.certificates import Certificate

NAME = "compression-operator-local"


def write(
    path: Path, *, server: str, authority: Path, client: Certificate | None = None, token: str = "", namespace: str = ""
) -> Path:
    """Write a kubeconfig for a client certificate or a bearer token, readable by its owner only."""
    user: dict[str, Any] = {"token": token} if token else {}
    if client:
        user["client-certificate-data"] = _encoded(client.certificate)
        user["client-key-data"] = _encoded(client.key)
    context = {"cluster": NAME, "user": NAME, **({"namespace": namespace} if namespace else {})}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": server, "certificate-authority-data": _encoded(authority)}}],
        "users": [{"name": NAME, "user": user}],
        "contexts": [{"name": NAME, "context": context}],
        "current-context": NAME,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2))
    return path


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
