"""Checks of the code for GPUs on a real GPU, beside the same on its machine's CPUs."""
