"""The memory need of quantization methods, measured over all of them."""

from typing import Final

from compression_runner.stages.method import MIB, Need

NEED: Final = Need(150 * MIB, 2.0, 170 * MIB, 4.3)
