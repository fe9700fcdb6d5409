"""Weight-only quantization: weights in 8, 4, 3 or 2 bits by groups, activations as they are."""
