"""Restores a packed artifact bit-exactly."""

import shutil
from pathlib import Path

from compression_runner.artifact import Artifact, ArtifactDamaged, seal, verify
from compression_runner.methods.pack.codecs import CODECS, Damaged, decompress


def unpack(artifact: Artifact, into: Path) -> Artifact:
    """Writes the artifact as it was before it was packed into `into`; one that is not packed is copied.

    Raises ArtifactDamaged where a file is not what artifact.json says, packed or unpacked.
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
        try:
            restored = decompress(CODECS[artifact.packing.codec], artifact.path / file.path, into / original.path)
        except (Damaged, KeyError) as error:
            raise ArtifactDamaged(str(error)) from error
        if restored != (original.size, original.sha256):
            raise ArtifactDamaged(f"{file.path} does not unpack to {original.path} of sha256 {original.sha256}")
    return seal(into, artifact.format, artifact.task).with_provenance(artifact.provenance)
