"""`unpack`: restore a packed artifact, bit for bit."""

import logging
from pathlib import Path
from typing import Final

from compression_runner import artifact as artifacts
from compression_runner.commands.failures import Ended, explained
from compression_runner.errors import InvalidInput, room_on
from compression_runner.methods.pack.unpacking import unpack as restore
from compression_runner.telemetry import logs
from compressionjob.exit_codes import ExitCode

LOG: Final = logging.getLogger("compression_runner")


def unpack(packed: Path, destination: Path) -> int:
    """Restore `packed` in `destination`, and verify each file's sha256."""
    logs.configure(as_json=False)
    try:
        with explained():
            _unpack(packed, destination)
    except Ended as end:
        return end.status
    return ExitCode.DONE


def _unpack(packed: Path, destination: Path) -> None:
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        problem = "something lies there"
        raise InvalidInput("DestinationNotEmpty", "DEST", destination, problem, "name a directory that is new or empty")
    try:
        with room_on(destination, "DEST", "free some room there"):
            restored = restore(artifacts.load(packed), destination)
    except artifacts.ArtifactDamaged as error:
        raise InvalidInput("ChecksumMismatch", "ARTIFACT", packed, error.problem, "fetch the artifact again") from error
    LOG.info("%d files, %s", len(restored.files), restored.digest)
