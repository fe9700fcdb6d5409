"""The command ``compression-operator``."""

import asyncio
import logging
import sys

from compression_operator.cluster.errors import CredentialsError
from compression_operator.network.settings import read_settings
from compression_operator.notifications.receivers import read_receivers
from compression_operator.process import replica as process
from compression_operator.process.options import Options, parse
from compression_operator.process.serving_certificate import ServingCertificate
from compression_operator.telemetry import logs
from compressionjob.errors import InvalidSpec

logger = logging.getLogger("compression_operator")


def main() -> int:
    """Run the operator; return exit status 0 after SIGTERM, 1 after a fatal error, 2 for invalid options or files."""
    options = parse(sys.argv[1:])
    logs.configure(options.log_format, options.log_level)
    try:
        settings = _read(options)
    except InvalidSpec as error:
        logger.error("%s", error)
        return 2
    for problem in settings.receivers.unusable_keys():
        logger.warning("notifications wait: %s", problem)
    try:
        asyncio.run(process.run(options, settings))
    except CredentialsError as error:
        logger.error("%s", error)
        return 1
    except (Exception, asyncio.CancelledError):
        logger.exception("the operator stops because of an error")
        return 1
    return 0


def _read(options: Options) -> process.LoadedFiles:
    certificate = options.metrics_certificate
    return process.LoadedFiles(
        receivers=read_receivers(options.notifications),
        network=read_settings(options.network_policy),
        certificate=None if certificate is None else ServingCertificate(certificate),
    )


if __name__ == "__main__":
    sys.exit(main())
