"""Every method that the runner has, one line each."""

from typing import Final

from compression_runner.methods import export, pack, prune, quantize
from compression_runner.methods.method import Method

METHODS: Final[dict[str, Method]] = {
    "export": export.METHOD,
    "prune": prune.METHOD,
    "quantize": quantize.METHOD,
    "pack": pack.METHOD,
}
