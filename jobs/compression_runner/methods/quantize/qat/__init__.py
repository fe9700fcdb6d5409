"""Quantization-aware training: weights learn on the grid that they will be stored on."""
