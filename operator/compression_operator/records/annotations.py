"""Annotations of child Jobs and pods, which the operator writes and reads."""

from typing import Final

from compressionjob.group import GROUP

RETRIES_BEFORE: Final = "compression-operator.io/retries-before"
"""Annotation of a child Job: tries that failed before it was created, which its own count does not know."""
RUNTIME_ANNOTATION: Final = f"{GROUP}/runtime"
PRICE_ANNOTATION: Final = f"{GROUP}/price-per-hour"
"""Annotations of child Jobs and pods: where they run, and the price for which they do, whatever it becomes later."""
DEADLINE_ANNOTATION: Final = f"{GROUP}/deadline-seconds"
"""Annotation of a child Job whose clock the operator sets: what spec.deadline leaves it, or NO_DEADLINE. With a budget
activeDeadlineSeconds may be less."""
PLACES_ANNOTATION: Final = f"{GROUP}/writes-to"
"""Annotation of child Jobs and pods: where they write, for whoever comes when their CompressionJob is gone."""
STORES_ANNOTATION: Final = f"{GROUP}/stores"
"""Annotation of a child Job: the CompressionStores that it uses, as JSON, whatever becomes of them later."""
SLOT_ANNOTATION: Final = f"{GROUP}/measuring-slot"
"""Annotation of child Jobs and pods that measure alone on CPUs: StaticCPUs or Node, whatever the runtime says later."""
COMPLETION_INDEX: Final = "batch.kubernetes.io/job-completion-index"
"""Kubernetes' annotation of the pods of an Indexed Job."""
NO_DEADLINE: Final = "none"
