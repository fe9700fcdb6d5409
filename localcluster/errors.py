"""The one error of this package."""


class LocalClusterError(Exception):
    """Something that stops the local cluster; the message says what failed and what to do about it."""
