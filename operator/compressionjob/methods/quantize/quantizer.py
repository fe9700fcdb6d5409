"""What the methods that quantize have in common."""

from typing import Final

from compressionjob.methods.parameters import Parameters

METHOD: Final = "The method."
DTYPE: Final = "The type that weights get."
GRANULARITY: Final = "One scale for each output channel (exact), or one for each tensor (simple)."
BACKEND: Final = "What quantizes, and will run the result: onnxruntime by default."


class Quantizer(Parameters):
    """Store, and where the method allows compute, with fewer bits."""

    def excludes_program(self) -> bool:
        """Return True: the result is a graph, or a folder of numbers that an export would make float32 again."""
        return True
