"""Quantization by libraries that cannot live beside ours: each in an environment of its own, in an image of its own."""
