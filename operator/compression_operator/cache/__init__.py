"""The in-memory cache of CompressionJobs and of the cluster objects that belong to them."""
