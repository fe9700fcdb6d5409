"""CompressionRuntime: image, hardware and rules that the platform team provides for jobs."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from compressionjob.errors import FieldProblem, InvalidSpec, problems_of
from compressionjob.field_types import (
    Label,
    ObjectName,
    Positive,
    PositiveQuantity,
    Quantity,
    Schema,
    TolerantSchema,
    cel,
    with_rules,
    without_default,
)
from compressionjob.group import API_VERSION, RUNTIME_KIND
from compressionjob.measuring import (
    GPU,
    GPU_RULE,
    GPU_TEXT,
    GUARANTEED_RULE,
    GUARANTEED_TEXT,
    STATIC_CPUS,
    Measuring,
    gpu_problems,
    guaranteed_problems,
)
from compressionjob.namespaces import AllowedNamespaces, LabelKey, LabelValue
from compressionjob.pod_interface import RESERVED_MOUNTS
from compressionjob.retention import RuntimeRetention
from compressionjob.review_rules import ReviewRequirement
from compressionjob.runtime_limits import LIMIT_RULES, JobSettings, default_problems
from compressionjob.spec import Metadata

ResourceName = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9]([-a-zA-Z0-9_./]*[a-zA-Z0-9])?$")
]
ResourceList = Annotated[dict[ResourceName, Quantity], Field(max_length=32)]
EnvName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
MountPath = Annotated[str, Field(min_length=2, max_length=512, pattern=r"^/[^:\s]+$")]
Argument = Annotated[str, Field(min_length=1, max_length=1024)]


class Resources(Schema):
    """CPU, memory and devices of the pod, as in a container's ``resources``."""

    requests: ResourceList = Field(default={}, description="Resources that the scheduler reserves.")
    limits: ResourceList = Field(default={}, description="Largest use of resources; devices belong here.")


class Toleration(Schema):
    """A toleration, as in a pod's ``tolerations``."""

    key: LabelKey | None = Field(default=None, description="Taint key; all taints by default.")
    operator: Literal["Exists", "Equal"] = Field(default="Equal", description="Comparison of key and value.")
    value: LabelValue | None = Field(default=None, description="Taint value, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Taint effect; all effects by default."
    )
    toleration_seconds: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Seconds for which a NoExecute taint is tolerated."
    )


class ClaimSource(Schema):
    """A PersistentVolumeClaim in the job's namespace."""

    claim_name: ObjectName = Field(description="Name of the claim.")
    read_only: bool = Field(default=True, description="Mount it read-only.")


class ConfigMapSource(Schema):
    """A ConfigMap in the job's namespace."""

    name: ObjectName = Field(description="Name of the ConfigMap.")


_VOLUME_TEXT = "name exactly one of persistentVolumeClaim, configMap"
_VOLUME_RULE = "has(self.persistentVolumeClaim) != has(self.configMap)"
_MOUNT_RULE = f"!{list(RESERVED_MOUNTS)}.exists(p, self.mountPath == p || self.mountPath.startsWith(p + '/'))"
_MOUNT_TEXT = f"{', '.join(RESERVED_MOUNTS)} are reserved for the operator; choose another mount path"


class RuntimeVolume(Schema):
    """A volume of the pod. ``file://`` locations must be below a mount path."""

    model_config = with_rules(cel(_VOLUME_RULE, _VOLUME_TEXT), cel(_MOUNT_RULE, _MOUNT_TEXT))

    name: Label = Field(description="Name of the volume.")
    mount_path: MountPath = Field(description="Path of the volume in the pod.")
    persistent_volume_claim: ClaimSource | None = Field(default=None, description="A claim in the job's namespace.")
    config_map: ConfigMapSource | None = Field(default=None, description="A ConfigMap in the job's namespace.")

    @model_validator(mode="after")
    def _one_source(self) -> "RuntimeVolume":
        if (self.persistent_volume_claim is None) == (self.config_map is None):
            raise ValueError(_VOLUME_TEXT)
        if any(self.mount_path == path or self.mount_path.startswith(f"{path}/") for path in RESERVED_MOUNTS):
            raise ValueError(_MOUNT_TEXT)
        return self


class EnvVar(Schema):
    """An environment variable with a plain value. Do not put secrets here."""

    name: EnvName = Field(description="Name of the variable.")
    value: Annotated[str, Field(max_length=4096)] = Field(default="", description="Value of the variable.")


class Workspace(Schema):
    """The work directory of the pod, for models and unfinished checkpoints."""

    size: PositiveQuantity = Field(default="20Gi", description="Size limit of the work directory.")


class CompressionRuntimeSpec(Schema):
    """Image, hardware and settings of the pods of jobs."""

    model_config = with_rules(cel(GUARANTEED_RULE, GUARANTEED_TEXT), cel(GPU_RULE, GPU_TEXT), *LIMIT_RULES)

    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^\S+$")] = Field(
        description="Image that contains compression-runner."
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When the kubelet pulls the image."
    )
    image_pull_secrets: Annotated[list[ObjectName], Field(max_length=8)] = Field(
        default=[], description="Names of pull secrets in the job's namespace."
    )
    command: Annotated[list[Argument], Field(min_length=1, max_length=16)] = Field(
        default=["compression-runner", "pod"], description="Command of the container."
    )
    resources: Resources = Field(default=Resources(), description="CPU, memory and devices.")
    measuring: Measuring = Field(
        default=Measuring(),
        description="Where models are measured, and which pods may run there at the same time.",
        json_schema_extra=without_default,
    )
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = Field(
        default={}, description="Labels that the node must have."
    )
    tolerations: Annotated[list[Toleration], Field(max_length=32)] = Field(
        default=[], description="Taints that the pod tolerates."
    )
    volumes: Annotated[list[RuntimeVolume], Field(max_length=16)] = Field(default=[], description="Volumes of the pod.")
    env: Annotated[list[EnvVar], Field(max_length=64)] = Field(
        default=[], description="Environment variables of the pod."
    )
    runtime_class_name: ObjectName | None = Field(default=None, description="RuntimeClass of the pod, such as nvidia.")
    priority_class_name: ObjectName | None = Field(default=None, description="PriorityClass of the pod.")
    service_account_name: ObjectName | None = Field(
        default=None, description="Service account with a cloud identity; its API token is never mounted."
    )
    workspace: Workspace = Field(default=Workspace(), description="Work directory of the pod.")
    retention: RuntimeRetention = Field(
        default=RuntimeRetention(),
        description="Lifetimes of checkpoints and reports of jobs on this runtime.",
        json_schema_extra=without_default,
    )
    price_per_hour: Positive | None = Field(
        default=None, description="Price of one pod for one hour, in a currency of your choice."
    )
    allowed_namespaces: AllowedNamespaces | None = Field(
        default=None, description="Namespaces whose jobs may use this runtime; all namespaces by default."
    )
    defaults: JobSettings | None = Field(
        default=None, description="Settings of jobs that do not set them. The limits apply to these too."
    )
    limits: JobSettings | None = Field(
        default=None,
        description="Largest settings that jobs may have. A job without a setting gets the default, or else the limit.",
    )
    review: ReviewRequirement | None = Field(
        default=None, description="A review that jobs on this runtime must have, whatever their spec.review is."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "CompressionRuntimeSpec":
        problems = list(default_problems(self.defaults or JobSettings(), self.limits or JobSettings()))
        if self.measuring.isolation == STATIC_CPUS:
            problems += guaranteed_problems(self.resources.requests, self.resources.limits)
        if self.measuring.isolation == GPU:
            problems += gpu_problems(self.resources.limits)
        if problems:
            raise InvalidSpec(problems)
        return self


class CompressionRuntime(TolerantSchema):
    """A CompressionRuntime manifest."""

    api_version: Literal["compression-operator.io/v1alpha1"] = API_VERSION
    kind: Literal["CompressionRuntime"] = RUNTIME_KIND
    metadata: Metadata
    spec: CompressionRuntimeSpec


def parse_runtime(manifest: dict[str, Any]) -> CompressionRuntime:
    """Read a CompressionRuntime.

    Raises InvalidSpec, which names every field that is wrong, its value and the remedy.
    """
    try:
        return CompressionRuntime.model_validate(manifest)
    except ValidationError as error:
        raise InvalidSpec(problems_of(error, model=CompressionRuntime)) from error


__all__ = [
    "CompressionRuntime",
    "CompressionRuntimeSpec",
    "FieldProblem",
    "RuntimeVolume",
    "Toleration",
    "parse_runtime",
]
