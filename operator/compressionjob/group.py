"""Names under which the resources are known to Kubernetes."""

from typing import Final

GROUP: Final = "compression-operator.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "compression-operator.io/v1alpha1"

JOB_KIND: Final = "CompressionJob"
JOB_PLURAL: Final = "compressionjobs"
JOB_SHORT_NAME: Final = "cpj"  # cj is CronJob's

RUNTIME_KIND: Final = "CompressionRuntime"
RUNTIME_PLURAL: Final = "compressionruntimes"
RUNTIME_SHORT_NAME: Final = "cprt"

STORE_KIND: Final = "CompressionStore"
STORE_PLURAL: Final = "compressionstores"
STORE_SHORT_NAME: Final = "cpst"

REVIEW_KIND: Final = "CompressionReview"
REVIEW_PLURAL: Final = "compressionreviews"
REVIEW_SHORT_NAME: Final = "cprv"

# Label of child Jobs and pods: the name of the CompressionJob that owns them.
JOB_LABEL: Final = f"{GROUP}/job"
JOB_UID_LABEL: Final = f"{GROUP}/job-uid"
PART_LABEL: Final = f"{GROUP}/part"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "compression-operator"
AMBIENT_IDENTITY_LABEL: Final = f"{GROUP}/ambient-identity"
"""Label of pods whose runtime has a ``serviceAccountName``: they may get credentials of the cloud for it."""
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
RETRY_OF_ANNOTATION: Final = f"{GROUP}/retry-of"
"""The job that a job tries again, for people: the operator does not look at it."""
