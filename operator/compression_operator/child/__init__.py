"""The manifest of the child batch/v1 Job: containers, permissions, volumes and failure policy."""
