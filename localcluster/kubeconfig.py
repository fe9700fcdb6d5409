"""Kubeconfig files: self-contained, so that they can be copied and outlive the files that they were made from."""

import base64
from pathlib import Path
from typing import Any

import yaml

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
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
