"""Sizes that Kubernetes bounds."""

from typing import Final

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which `kubectl apply` keeps a manifest on the client's side."""
MAX_ANNOTATIONS: Final = 262_144
"""Bytes of all annotations of an object: TotalAnnotationSizeLimitB of apimachinery."""
MAX_SECRET: Final = 1 << 20
"""Bytes of a Secret's data."""
