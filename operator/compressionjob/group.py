"""Group, kinds, labels and annotations of the resources."""

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

# Labels of child Jobs and pods: name and uid of the CompressionJob that owns them, and the part of it that they do.
JOB_LABEL: Final = f"{GROUP}/job"
JOB_UID_LABEL: Final = f"{GROUP}/job-uid"
PART_LABEL: Final = f"{GROUP}/part"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "compression-operator"
AMBIENT_IDENTITY_LABEL: Final = f"{GROUP}/ambient-identity"
"""Label of pods whose runtime has a ``serviceAccountName``: they may get cloud credentials for it."""
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
RETRY_OF_ANNOTATION: Final = f"{GROUP}/retry-of"
"""The job that this job retries. It is for people; the operator does not read it."""
