"""The error of this package."""


class LocalClusterError(Exception):
    """The local cluster failed. The message has the cause and the remedy."""
