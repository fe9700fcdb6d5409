"""Which methods there are. A new one is a file beside this one and a line in each table."""

from typing import Final

from compressionjob.methods.pack import Pack
from compressionjob.methods.prune import Prune
from compressionjob.methods.quantize import Quantize

Parameters = Prune | Quantize | Pack

METHODS: Final[dict[str, type[Prune] | type[Quantize] | type[Pack]]] = {
    "prune": Prune,
    "quantize": Quantize,
    "pack": Pack,
}
"""Name in a pipeline stage -> its parameters."""
