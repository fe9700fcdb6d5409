"""What is observed: every object of the cluster that belongs to CompressionJobs, as the operator knows it."""
