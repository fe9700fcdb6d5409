"""Static INT8: ranges of activations are found on calibration data before the model runs, not while it does."""
