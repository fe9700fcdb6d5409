"""How a run reports its state: progress, logs, metrics, and a pod's termination message."""
