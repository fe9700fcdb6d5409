"""The operator: watches CompressionJobs, runs their child Jobs and writes their statuses."""
