"""The command ``kubectl-compress``, which kubectl runs as ``kubectl compress``."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec

from kubectl_compress import options
from kubectl_compress.exit_codes import ExitCode

_NO_RICH = (
    "error: kubectl compress needs rich: pipx install --force '.[kubectl]' in a clone of the operator's repository\n"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (``exit_codes``)."""
    if find_spec("rich") is None:
        sys.stderr.write(_NO_RICH)
        return ExitCode.REFUSED
    args = options.parser(version("compression-operator")).parse_args(
        options.flags_after_command(sys.argv[1:] if arguments is None else arguments)
    )
    # --help does not wait for the imports of the commands.
    from kubectl_compress.running import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
