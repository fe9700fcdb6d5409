"""The ancestor of those parts of a report whose keys depend on the run and on the version that wrote it."""

from typing import Any

from pydantic import ConfigDict, SerializationInfo, SerializerFunctionWrapHandler, model_serializer
from pydantic.alias_generators import to_camel

from compressionjob.schema import Observed


class ReportSection(Observed):
    """A part of a report that is written as it was read: an absent key stays absent, an unknown key is kept.

    So a report of another version loses nothing when it is written again, as it is after a review.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)

    def to_json(self) -> dict[str, Any]:
        """Return the part as report.json has it: only the keys that were set, null where one is set to None."""
        return self.model_dump(mode="json", by_alias=True)

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        unset = {
            (field.serialization_alias or name) if info.by_alias else name
            for name, field in type(self).model_fields.items()
            if name not in self.model_fields_set
        }
        return {key: value for key, value in dump(self).items() if key not in unset}
