"""Base class of the parts of a report whose keys depend on the run and on the version that wrote it."""

from typing import Any

from pydantic import ConfigDict, SerializationInfo, SerializerFunctionWrapHandler, model_serializer
from pydantic.alias_generators import to_camel

from compressionjob.field_types import TolerantSchema


class ReportSection(TolerantSchema):
    """A part of a report that is written as it was read: absent keys stay absent, and unknown keys are kept.

    So a report of another version loses nothing when it is written again after a review.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)

    def to_json(self) -> dict[str, Any]:
        """Return the part as in report.json: only the keys that were set, with null for None."""
        return self.model_dump(mode="json", by_alias=True)

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        unset = {
            (field.serialization_alias or name) if info.by_alias else name
            for name, field in type(self).model_fields.items()
            if name not in self.model_fields_set
        }
        return {key: value for key, value in dump(self).items() if key not in unset}
