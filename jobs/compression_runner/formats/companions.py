"""The files that go along with a model from one format to the next: configuration and tokenizer."""

import shutil
from pathlib import Path
from typing import Final

from compression_runner.artifact import Artifact

# Pooling and normalisation become part of an exported graph: their files would have them applied twice.
BAKED_IN: Final = (
    "modules.json",
    "config_sentence_transformers.json",
    "1_Pooling/",
    "2_Normalize/",
    "2_Dense/",
    "surgery.json",
)


def copy_companions(artifact: Artifact, into: Path, *, exported: bool = False) -> None:
    """Copies every file that is not weights; with `exported`, not what the graph has taken over."""
    for file in artifact.files:
        if file.weights or file.path.endswith(".safetensors.index.json"):
            continue
        if exported and file.path.startswith(BAKED_IN):
            continue
        target = into / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.path / file.path, target)
