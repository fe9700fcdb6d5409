"""Statistics of the inputs of the layers of an ONNX graph on calibration samples."""
