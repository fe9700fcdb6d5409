"""Lossless packing of the finished files."""

from typing import Literal

from pydantic import Field, model_validator

from compressionjob.methods.parameters import Parameters
from compressionjob.methods.promise import Promise
from compressionjob.schema import cel, with_rules

LEVELS: dict[str, tuple[int, int]] = {"zstd": (1, 22), "lz4": (0, 16), "gzip": (1, 9)}
"""Least and greatest level of each codec."""
DEFAULT_LEVELS: dict[str, int] = {"zstd": 3, "lz4": 0, "gzip": 6}

_LEVEL_TEXT = "level must be from 1 to 22 for zstd, 0 to 16 for lz4, 1 to 9 for gzip"
_LEVEL_RULE = (
    "!has(self.level) || (self.codec == 'zstd' && self.level >= 1 && self.level <= 22)"
    " || (self.codec == 'lz4' && self.level >= 0 && self.level <= 16)"
    " || (self.codec == 'gzip' && self.level >= 1 && self.level <= 9)"
)


class Pack(Parameters):
    """Pack the model's files bit-exactly; ``compression-runner unpack`` restores them."""

    model_config = with_rules(cel(_LEVEL_RULE, _LEVEL_TEXT))

    codec: Literal["zstd", "lz4", "gzip"] = Field(default="zstd", description="The lossless codec.")
    level: int | None = Field(
        default=None,
        ge=0,
        le=22,
        description="Effort: zstd 1 to 22 (default 3), lz4 0 to 16 (default 0), gzip 1 to 9 (default 6).",
    )

    @model_validator(mode="after")
    def _level_fits_codec(self) -> "Pack":
        low, high = LEVELS[self.codec]
        if self.level is not None and not low <= self.level <= high:
            raise ValueError(_LEVEL_TEXT)
        return self

    @property
    def effective_level(self) -> int:
        """The level that is used."""
        return DEFAULT_LEVELS[self.codec] if self.level is None else self.level

    def promise(self) -> Promise:
        """Lossless and never larger than what it packs, but for a few bytes of framing; speed is the model's own."""
        return Promise(max_size_ratio=1.001, min_speedup=None, max_quality_drop=0.0)
