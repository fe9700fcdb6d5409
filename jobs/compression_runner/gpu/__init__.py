"""What NVIDIA's driver tells of the GPU that a stage works on: its energy, and what makes it slower."""
