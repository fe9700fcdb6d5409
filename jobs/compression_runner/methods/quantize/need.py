"""The memory that methods which quantize need: measured for all of them together."""

from typing import Final

from compression_runner.stages.method import MIB, Need

NEED: Final = Need(150 * MIB, 2.0, 170 * MIB, 4.3)
