"""How a run tells where it is: progress, logs, metrics, and the last word of a pod."""
