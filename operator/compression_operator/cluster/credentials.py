"""The address of the API server, and the operator's credentials.

In a pod: the service account's files, whose token the kubelet replaces before it expires. Elsewhere: the kubeconfig,
read by the kubernetes library (tokens, client certificates, exec plugins). The library needs 60 MB of memory and a
second of CPU to import, so it runs in a short-lived process of its own: ``cluster.kubeconfig``.
"""

import asyncio
import json
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compression_operator.cluster.errors import CredentialsError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_MAX_AGE: Final = 60.0
"""Seconds until the token file is read again: the kubelet rotates it long before it expires."""


@dataclass(frozen=True)
class Connection:
    """Connection to one API server: certificates as PEM text ("" for none), ``authorization`` as the header's value."""

    server: str
    ca: str = ""
    verify: bool = True
    certificate: str = ""
    key: str = ""
    authorization: str = ""

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS settings: the cluster's CA, and the client certificate if there is one.

        Raises CredentialsError if a certificate or key is not PEM.
        """
        try:
            context = ssl.create_default_context(cadata=self.ca or None)
            if self.certificate:
                _load_client_certificate(context, self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise CredentialsError(f"certificates for {self.server}: {error}; check the kubeconfig") from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _load_client_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # OpenSSL's binding reads only files; the directory is private and removed at once.
    with tempfile.TemporaryDirectory() as directory:
        certificate_file, key_file = Path(directory, "client.crt"), Path(directory, "client.key")
        certificate_file.write_text(certificate, encoding="ascii")
        key_file.write_text(key, encoding="ascii")
        context.load_cert_chain(certificate_file, key_file)


class Credentials:
    """The current connection; ``load`` reads it again, ``authorization`` keeps the token fresh."""

    def __init__(self, environment: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT) -> None:
        self._environment = environment
        self._service_account = service_account
        self._connection: Connection | None = None
        self._read_at = 0.0

    @property
    def in_cluster(self) -> bool:
        """Whether this process runs in a pod with a service account, and no kubeconfig was named."""
        return (
            not self._environment.get("KUBECONFIG")
            and "KUBERNETES_SERVICE_HOST" in self._environment
            and (self._service_account / "token").exists()
        )

    async def load(self) -> Connection:
        """Read the credentials again.

        Raises CredentialsError when there are none.
        """
        connection = self._from_service_account() if self.in_cluster else await _from_kubeconfig(self._environment)
        self._connection, self._read_at = connection, time.monotonic()
        return connection

    def authorization(self) -> str:
        """Return the Authorization header to send now, or "" (client certificates)."""
        if self._connection is None:
            return ""
        if self.in_cluster and time.monotonic() - self._read_at > TOKEN_MAX_AGE:
            self._connection, self._read_at = self._from_service_account(), time.monotonic()
        return self._connection.authorization

    def _from_service_account(self) -> Connection:
        host = self._environment["KUBERNETES_SERVICE_HOST"]
        port = self._environment.get("KUBERNETES_SERVICE_PORT", "443")
        try:
            token = (self._service_account / "token").read_text(encoding="ascii").strip()
            ca = (self._service_account / "ca.crt").read_text(encoding="ascii")
        except OSError as error:
            raise CredentialsError(f"service account: {error}; set automountServiceAccountToken: true") from error
        return Connection(
            server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            ca=ca,
            authorization=f"Bearer {token}",
        )


async def _from_kubeconfig(environment: Mapping[str, str]) -> Connection:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "compression_operator.cluster.kubeconfig",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    output, errors = await process.communicate()
    if process.returncode != 0:
        reason = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise CredentialsError(f"no credentials: {reason[0]}; set KUBECONFIG, or run in a pod with a service account")
    return Connection(**json.loads(output))
