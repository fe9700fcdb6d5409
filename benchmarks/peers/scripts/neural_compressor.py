"""Intel Neural Compressor for ONNX, as its documentation shows it: FULL_MODEL RESULT dynamic|static|smooth CALIBRATION.

Runs in its own environment, without code of this project. CALIBRATION is a folder of .npz batches.
"""

import sys
from pathlib import Path

import numpy as np
from onnx_neural_compressor.data_reader import CalibrationDataReader  # type: ignore[import-not-found]
from onnx_neural_compressor.quantization import QuantType, config, quantize  # type: ignore[import-not-found]


class Batches(CalibrationDataReader):  # type: ignore[misc]
    """The calibration batches; `rewind` starts again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rewind()

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch; None after the last."""
        place = next(self._places, None)
        return None if place is None else dict(np.load(place))

    def rewind(self) -> None:
        """Start again."""
        self._places = iter(sorted(self._folder.glob("*.npz")))


def main(full: str, result: str, kind: str, calibration: str) -> None:
    """Quantize the model, per channel."""
    if kind == "dynamic":
        settings = config.DynamicQuantConfig(weight_type=QuantType.QInt8, per_channel=True)
    else:
        smooth = {"SmoothQuant": True, "SmoothQuantAlpha": 0.8} if kind == "smooth" else {}
        settings = config.StaticQuantConfig(
            calibration_data_reader=Batches(Path(calibration)),
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            per_channel=True,
            extra_options=smooth,
        )
    quantize(full, result, settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
