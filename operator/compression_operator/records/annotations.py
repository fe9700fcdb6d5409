"""Annotations of child Jobs and pods, which the operator writes and reads."""

from typing import Final

from compressionjob.group import GROUP

RETRIES_BEFORE: Final = "compression-operator.io/retries-before"
"""Annotation of a child Job: failed attempts before it was created, which its own count does not include."""
RUNTIME_ANNOTATION: Final = f"{GROUP}/runtime"
PRICE_ANNOTATION: Final = f"{GROUP}/price-per-hour"
"""Annotations of child Jobs and pods: their runtime, and its price per hour when they were created."""
DEADLINE_ANNOTATION: Final = f"{GROUP}/deadline-seconds"
"""Annotation of a child Job whose clock the operator sets: the rest of spec.deadline in seconds, or NO_DEADLINE. With a
budget, activeDeadlineSeconds may be less."""
WRITES_TO_ANNOTATION: Final = f"{GROUP}/writes-to"
"""Annotation of child Jobs and pods: the locations they write to, which remain known after their CompressionJob."""
STORES_ANNOTATION: Final = f"{GROUP}/stores"
"""Annotation of a child Job: the CompressionStores that it uses, as JSON, as they were when it was created."""
SLOT_ANNOTATION: Final = f"{GROUP}/measuring-slot"
"""Annotation of child Jobs and pods that need a measuring slot: StaticCPUs or Node, as at their creation."""
COMPLETION_INDEX: Final = "batch.kubernetes.io/job-completion-index"
"""Kubernetes' annotation of the pods of an Indexed Job."""
NO_DEADLINE: Final = "none"
