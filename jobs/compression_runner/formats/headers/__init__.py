"""Read headers of model files in byte ranges, without loading weights."""
