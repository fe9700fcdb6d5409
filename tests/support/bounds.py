"""Size limits of Kubernetes."""

from typing import Final

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation in which client-side `kubectl apply` stores the manifest."""
MAX_ANNOTATIONS: Final = 262_144
"""Bytes of all annotations of an object: TotalAnnotationSizeLimitB of apimachinery."""
MAX_SECRET: Final = 1 << 20
"""Bytes of a Secret's data."""
