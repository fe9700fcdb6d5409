"""The certificate of the operator's HTTPS port, loaded again when its files change: cert-manager renews them."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from compressionjob.errors import FieldProblem, InvalidSpec

INTERVAL: Final = 30.0
"""Seconds between two checks of the files."""

logger = logging.getLogger(__name__)


class ServingCertificate:
    """``tls.crt`` and ``tls.key`` of a folder, as in a Secret of the type kubernetes.io/tls.

    Raises InvalidSpec if they cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._files = (folder / "tls.crt", folder / "tls.key")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._loaded = b""
        try:
            self.load()
        except (OSError, ssl.SSLError) as error:
            why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            remedy = f"tls.crt and tls.key cannot be used ({why}); mount a Secret of the type kubernetes.io/tls"
            raise InvalidSpec([FieldProblem("--metrics-certificate", str(folder), remedy)]) from error

    def load(self) -> bool:
        """Read the files, and load them if they have changed: new connections get the new certificate.

        Returns whether they have changed. Raises OSError or ssl.SSLError, and then keeps the old certificate.
        """
        content = b"\0".join(path.read_bytes() for path in self._files)
        if content == self._loaded:
            return False
        # A key that does not match must not break the context in use.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._files)
        self.context.load_cert_chain(*self._files)
        self._loaded = content
        return True

    async def keep_fresh(self, interval: float = INTERVAL) -> None:
        """Reload the files when they change, until cancelled."""
        while True:
            await asyncio.sleep(interval)
            try:
                if self.load():
                    logger.info("the certificate of the metrics was reloaded")
            except (OSError, ssl.SSLError) as error:
                logger.warning("the new certificate of the metrics cannot be loaded; the old one stays: %s", error)
