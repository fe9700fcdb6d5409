"""A real single-node Kubernetes, a single API server and an S3 server, for machines that have none."""
