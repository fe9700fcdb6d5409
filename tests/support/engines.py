"""Programs in the place of engines."""

from pathlib import Path


def stand_in(folder: Path, script: str) -> None:
    """A program in the place of an engine's interpreter, to see what it is given and what its end means."""
    place = folder / "llm-compressor" / "bin" / "python"
    place.parent.mkdir(parents=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
