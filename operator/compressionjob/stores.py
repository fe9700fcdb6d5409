"""CompressionStore: which places the jobs of a namespace may read and write, where they are, and with which keys."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError, WithJsonSchema

from compressionjob.errors import InvalidSpec, problems_of
from compressionjob.group import API_VERSION, STORE_KIND
from compressionjob.locations import MAX_LOCATION, Endpoint, Hub, Location, Region, Storage
from compressionjob.schema import ObjectName, Observed, Schema, cel
from compressionjob.spec import Metadata

Access = Literal["ReadOnly", "ReadWrite"]

MAX_PREFIXES: Final = 64
MAX_NAMED: Final = 5
"""Most stores that one job can name: spec.storage, model, data, output and hub."""

_PREFIX_TEXT: Final = "write s3://BUCKET/PREFIX/ or pvc://CLAIM/PATH/, without '..', '//' or spaces in the path"
_PREFIX: Final = re.compile(
    r"(s3)://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9!_.*'()=+@,:-]+)*)/?"
    r"|(pvc)://([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)((?:/[A-Za-z0-9!_.*()=+@,:-]+)*)/?",
    re.ASCII,
)
_PREFIX_RULE: Final = (
    r"self.matches('^(s3://[a-z0-9][a-z0-9.-]+|pvc://[a-z0-9][a-z0-9.-]*)(/[^\\s]*)?$') && "
    "!self.matches('(^|/)[.][.]?(/|$)') && !self.substring(6).contains('//')"
)


def parse_prefix(text: str) -> Location:
    """Parse the prefix of a store. Raises ValueError, which says what to write."""
    match = _PREFIX.fullmatch(text)
    if match is None:
        raise ValueError(_PREFIX_TEXT)
    scheme, container, path = match.groups()[:3] if match[1] else match.groups()[3:]
    parts = str(path).strip("/").split("/")
    if "." in parts or ".." in parts:
        raise ValueError(_PREFIX_TEXT)
    return Location("s3" if scheme == "s3" else "pvc", str(container), str(path).strip("/"))


def _check_prefix(text: str) -> str:
    parse_prefix(text)
    return text


Prefix = Annotated[
    str,
    Field(min_length=1, max_length=MAX_LOCATION),
    AfterValidator(_check_prefix),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 6,
            "maxLength": MAX_LOCATION,
            "x-kubernetes-validations": [cel(_PREFIX_RULE, _PREFIX_TEXT)],
        }
    ),
]
"""A folder of a bucket or a claim, and all that is below it."""


class AllowedLocation(Schema):
    """A folder that jobs may use."""

    prefix: Prefix = Field(
        description="Folder that jobs may use, with all that is below it: s3://BUCKET/PREFIX/ or pvc://CLAIM/PATH/. "
        "Names are compared whole: s3://models/team-a/ does not allow s3://models/team-ab."
    )
    access: Access = Field(
        default="ReadOnly",
        description="ReadOnly: models and data are read there. ReadWrite: results, reports and checkpoints may be "
        "written below it, too. Of several prefixes around a location the longest decides.",
    )

    @property
    def location(self) -> Location:
        """The prefix, parsed."""
        return parse_prefix(self.prefix)


class StoreHub(Schema):
    """The Hugging Face Hub, or a server that speaks its protocol."""

    endpoint: Endpoint | None = Field(
        default=None, description="URL of the server, which alone gets the token; huggingface.co when it is absent."
    )
    secret_name: ObjectName | None = Field(default=None, description="Secret in this namespace with the key HF_TOKEN.")


class CompressionStoreSpec(Schema):
    """Where models and data lie, what jobs may do there, and the Secrets that open it."""

    endpoint: Endpoint | None = Field(
        default=None, description="URL of an S3-compatible server; AWS when it is absent."
    )
    region: Region | None = Field(default=None, description="Region to sign for; us-east-1 when it is absent.")
    secret_name: ObjectName | None = Field(
        default=None,
        description="Secret in this namespace with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and "
        "AWS_SESSION_TOKEN where needed). Without it the pod uses the ambient identity of its runtime.",
    )
    locations: Annotated[list[AllowedLocation], Field(max_length=MAX_PREFIXES)] = Field(
        default=[],
        description="Folders that jobs may use; nothing else is allowed.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["prefix"]},
    )
    hub: StoreHub | None = Field(
        default=None, description="The Hub for the hf:// sources of jobs whose spec.hub names this store."
    )


class CompressionStore(Observed):
    """A CompressionStore manifest."""

    api_version: Literal["compression-operator.io/v1alpha1"] = API_VERSION
    kind: Literal["CompressionStore"] = STORE_KIND
    metadata: Metadata
    spec: CompressionStoreSpec


def parse_store(manifest: dict[str, Any]) -> CompressionStore:
    """Read a CompressionStore.

    Raises InvalidSpec, which names every field that is wrong, its value and the remedy.
    """
    try:
        return CompressionStore.model_validate(manifest)
    except ValidationError as error:
        raise InvalidSpec(problems_of(error, model=CompressionStore)) from error


class StoreConnection(Observed):
    """Addresses and Secrets of a store, as they were when a job began: its later pods use the same."""

    name: Annotated[str, Field(max_length=253)] = Field(description="Name of the CompressionStore.")
    endpoint: Annotated[str, Field(max_length=512)] | None = Field(
        default=None, description="URL of its object store; AWS when it is absent."
    )
    region: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="Region to sign for.")
    secret_name: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="Secret with its keys.")
    hub_endpoint: Annotated[str, Field(max_length=512)] | None = Field(
        default=None, description="URL of its Hub; huggingface.co when it is absent."
    )
    hub_secret_name: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Secret with its token of the Hub."
    )

    @classmethod
    def of(cls, name: str, spec: CompressionStoreSpec) -> "StoreConnection":
        """Return the addresses and Secrets of a store as it is now."""
        hub = spec.hub or StoreHub()
        return cls(
            name=name,
            endpoint=spec.endpoint,
            region=spec.region,
            secret_name=spec.secret_name,
            hub_endpoint=hub.endpoint,
            hub_secret_name=hub.secret_name,
        )

    @property
    def storage(self) -> Storage:
        """The settings that a job without a store would have written."""
        return Storage(secret_name=self.secret_name, endpoint=self.endpoint, region=self.region)

    @property
    def hub(self) -> Hub:
        """The settings for the Hub that a job without a store would have written."""
        return Hub(secret_name=self.hub_secret_name, endpoint=self.hub_endpoint)


@dataclass(frozen=True)
class ResolvedStore:
    """A store that a job uses: the connection is fixed when the job begins, the locations are those of now."""

    connection: StoreConnection
    locations: tuple[AllowedLocation, ...]
