"""Headers of model files, read in ranges: no weight is loaded."""
