"""Free TCP ports for local servers."""

import random
import socket

from localcluster.errors import LocalClusterError

# Below the kernel's ephemeral range, so that no outgoing connection takes a port between the check and its use.
_RANGE = range(20000, 32000)
_TRIES = 200


def free(host: str = "127.0.0.1") -> int:
    """Return a TCP port on which no server listens at that address."""
    for _ in range(_TRIES):
        port = random.choice(_RANGE)
        if is_free(port, host):
            return port
    raise LocalClusterError(
        f"No free TCP port on {host} between {_RANGE.start} and {_RANGE.stop} in {_TRIES} attempts."
    )


def is_free(port: int, host: str) -> bool:
    """Return whether a server could listen on that port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True
