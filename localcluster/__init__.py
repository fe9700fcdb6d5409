"""A real single-node Kubernetes, an API server alone and an S3 server, for a machine that has none."""
