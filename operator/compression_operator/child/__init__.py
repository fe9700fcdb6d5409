"""The child batch/v1 Job: what it runs, what it may do, what it mounts, and which failures end it."""
