"""Energy, sharing and throttling of the GPU of a stage, from NVIDIA's driver."""
