"""A process of its own: read the kubeconfig with the kubernetes library and print the connection as JSON.

Used by ``credentials``, which explains why; the output goes through a pipe to the parent and nowhere else.
"""

import json
import sys
from pathlib import Path
from typing import Any


def read() -> dict[str, Any]:
    """Return the fields of a ``Connection`` for the kubeconfig's current context; exec plugins run here.

    Raises kubernetes.config.ConfigException when there is no usable kubeconfig.
    """
    from kubernetes import client, config  # type: ignore[import-untyped]

    configuration = client.Configuration()
    config.load_kube_config(client_configuration=configuration)
    return {
        "server": configuration.host,
        "ca": _content(configuration.ssl_ca_cert),
        "verify": bool(configuration.verify_ssl),
        "certificate": _content(configuration.cert_file),
        "key": _content(configuration.key_file),
        "authorization": configuration.get_api_key_with_prefix("BearerToken")
        or configuration.get_basic_auth_token()
        or "",
    }


def _content(path: str | None) -> str:
    return Path(path).read_text(encoding="ascii") if path else ""


if __name__ == "__main__":
    json.dump(read(), sys.stdout)
