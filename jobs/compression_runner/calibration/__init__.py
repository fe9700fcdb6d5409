"""Observing what goes into the layers of an ONNX graph on calibration samples."""
