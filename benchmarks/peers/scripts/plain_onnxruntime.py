"""onnxruntime's own quantization as its documentation shows it: FULL_MODEL RESULT dynamic|static CALIBRATION.

Runs in its own process, without code of this project. CALIBRATION is a folder of .npz batches by input name.
"""

import sys
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Batches(CalibrationDataReader):  # type: ignore[misc]
    """The calibration batches, in order."""

    def __init__(self, folder: Path) -> None:
        self._places = iter(sorted(folder.glob("*.npz")))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch; None after the last."""
        place = next(self._places, None)
        return None if place is None else dict(np.load(place))


def main(full: str, result: str, kind: str, calibration: str) -> None:
    """Quantize the model, per channel."""
    prepared = str(Path(result).with_name("prepared.onnx"))
    if kind == "dynamic":
        quantize_dynamic(full, result, per_channel=True, weight_type=QuantType.QInt8)
    else:
        # It cannot infer symbolic shapes of large exports; its documentation allows skipping them.
        quant_pre_process(full, prepared, skip_symbolic_shape=True)
        quantize_static(prepared, result, Batches(Path(calibration)), per_channel=True, weight_type=QuantType.QInt8)
    Path(prepared).unlink(missing_ok=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
