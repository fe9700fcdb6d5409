"""Restore a packed artifact bit-exactly."""

import shutil
from pathlib import Path

from compression_runner.artifact import MARKER, Artifact, ArtifactDamaged, seal, verify
from compression_runner.methods.pack.codecs import CODECS, DamagedFile, decompress


def unpack(artifact: Artifact, into: Path) -> Artifact:
    """Write the unpacked artifact to `into`; copy an artifact that is not packed.

    Raises ArtifactDamaged if a file, packed or unpacked, does not match artifact.json.
    """
    verify(artifact)
    into.mkdir(parents=True, exist_ok=True)
    originals = artifact.packing.originals if artifact.packing else {}
    for file in artifact.files:
        original = originals.get(file.path)
        if original is None:
            target = into / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(artifact.path / file.path, target)
            continue
        assert artifact.packing is not None
        if artifact.packing.codec not in CODECS:
            raise ArtifactDamaged(f"{MARKER} names the codec {artifact.packing.codec!r}, which this version lacks")
        try:
            restored = decompress(CODECS[artifact.packing.codec], artifact.path / file.path, into / original.path)
        except DamagedFile as error:
            raise ArtifactDamaged(error.problem) from error
        if restored != (original.size, original.sha256):
            raise ArtifactDamaged(f"{file.path} does not unpack to {original.path} of sha256 {original.sha256}")
    return seal(into, artifact.format, artifact.task).with_provenance(artifact.provenance)
