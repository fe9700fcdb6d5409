"""Base class and descriptions of the methods that quantize."""

from typing import Final

from compressionjob.methods.parameters import Parameters

METHOD_TEXT: Final = "The method."
DTYPE_TEXT: Final = "Type of the quantized weights."
GRANULARITY_TEXT: Final = "One scale for each output channel (more exact), or one for each tensor (simpler)."
SMOOTHING_TEXT: Final = (
    "How much of the outliers of activations is moved into the weights, above 0 and below 1: "
    '"0.5" (SmoothQuant, arXiv:2211.10438).'
)
BACKEND_TEXT: Final = "Library that quantizes, and whose engine runs the result: onnxruntime by default."


class Quantizer(Parameters):
    """Store numbers with fewer bits, and compute with fewer bits where the method allows it."""

    def excludes_program(self) -> bool:
        """Return True: the result is a graph, or a folder whose weights an export would convert back to float32."""
        return True
