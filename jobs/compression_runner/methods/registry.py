"""Every method that the runner has, one line each."""

from typing import Final

from compression_runner.methods import converting, distill, export, factorize, importing, pack, prune, quantize, recover
from compression_runner.stages.method import Method

METHODS: Final[dict[str, Method]] = {
    "import": importing.METHOD,
    "export": export.METHOD,
    "export-program": export.PROGRAM,
    "convert": converting.METHOD,
    "prune": prune.METHOD,
    "factorize": factorize.METHOD,
    "distill": distill.METHOD,
    "recover": recover.METHOD,
    "quantize": quantize.METHOD,
    "pack": pack.METHOD,
}
