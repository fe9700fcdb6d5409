"""Lossless packing of the model files."""

from typing import Literal

from pydantic import Field, model_validator

from compressionjob.field_types import cel, with_rules
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.promise import Promise

Codec = Literal["zstd", "lz4", "gzip", "bzip2", "zipnn", "byte-plane", "huffman", "auto"]

LEVELS: dict[str, tuple[int, int]] = {
    "zstd": (1, 22),
    "lz4": (0, 16),
    "gzip": (1, 9),
    "bzip2": (1, 9),
    "byte-plane": (0, 22),
}
"""Lowest and highest level of each codec that has levels."""
DEFAULT_LEVELS: dict[str, int] = {"zstd": 3, "lz4": 0, "gzip": 6, "bzip2": 9, "byte-plane": 0}

_LEVEL_TEXT = (
    "level must be from 1 to 22 for zstd, 0 to 16 for lz4, 1 to 9 for gzip and bzip2, 0 to 22 for byte-plane;"
    " zipnn, huffman and auto have none"
)
_LEVEL_RULE = "!has(self.level) || " + " || ".join(
    f"(self.codec == '{codec}' && self.level >= {low} && self.level <= {high})" for codec, (low, high) in LEVELS.items()
)


class Pack(Parameters):
    """Pack the model's files bit-exactly; ``compression-runner unpack`` restores them."""

    model_config = with_rules(cel(_LEVEL_RULE, _LEVEL_TEXT))

    codec: Codec = Field(
        default="zstd",
        description="Lossless codec. zstd, lz4, gzip, bzip2: for bytes, in the tools' own file formats. "
        "byte-plane, huffman, zipnn: for tensors, by their type. auto: the smallest for each tensor.",
    )
    level: int | None = Field(
        default=None,
        ge=0,
        le=22,
        description="Effort: zstd 1 to 22 (default 3), lz4 0 to 16 (default 0), gzip 1 to 9 (default 6), "
        "bzip2 1 to 9 (default 9), byte-plane 0 to 22 (default 0: no search for repeats).",
    )

    @model_validator(mode="after")
    def _level_fits_codec(self) -> "Pack":
        if self.level is not None:
            # A codec without levels accepts none.
            low, high = LEVELS.get(self.codec, (1, 0))
            if not low <= self.level <= high:
                raise ValueError(_LEVEL_TEXT)
        return self

    @property
    def effective_level(self) -> int | None:
        """The level that is used; None for a codec without levels."""
        return DEFAULT_LEVELS.get(self.codec) if self.level is None else self.level

    def promise(self) -> Promise:
        """Return that nothing is lost, and that the files do not grow except for a few bytes of framing."""
        return Promise(max_size_ratio=1.001, min_speedup=None, max_quality_drop=0.0)
