"""Selection of namespaces by name or by label."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from compressionjob.field_types import Label, Schema, cel, with_rules

LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63)]
Labels = Mapping[str, str]

_VALUES_RULE: Final = "(self.operator in ['In', 'NotIn']) == (self.values.size() > 0)"
_VALUES_TEXT: Final = "In and NotIn need values; Exists and DoesNotExist take none"
_SOME_RULE: Final = "self.names.size() > 0 || has(self.selector)"
_SOME_TEXT: Final = "name at least one namespace in names, or give a selector; leave it out to allow every namespace"


class LabelRequirement(Schema):
    """A requirement of a Kubernetes label selector."""

    model_config = with_rules(cel(_VALUES_RULE, _VALUES_TEXT))

    key: LabelKey = Field(description="Key of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="Comparison: In, NotIn, Exists or DoesNotExist."
    )
    values: Annotated[list[LabelValue], Field(max_length=32)] = Field(default=[], description="Values for In, NotIn.")

    @model_validator(mode="after")
    def _has_values(self) -> "LabelRequirement":
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            raise ValueError(_VALUES_TEXT)
        return self

    def matches(self, labels: Labels) -> bool:
        """Return whether labels meet this requirement. A missing label meets NotIn, as in Kubernetes."""
        if self.operator == "Exists":
            return self.key in labels
        if self.operator == "DoesNotExist":
            return self.key not in labels
        return (labels.get(self.key) in self.values) == (self.operator == "In")


class LabelSelector(Schema):
    """A Kubernetes label selector. All requirements must hold; an empty selector matches everything."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = Field(
        default={}, description="Labels that must have exactly these values."
    )
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=16)] = Field(
        default=[], description="Further requirements."
    )

    def matches(self, labels: Labels) -> bool:
        """Return whether labels meet every requirement."""
        exact = all(labels.get(key) == value for key, value in self.match_labels.items())
        return exact and all(requirement.matches(labels) for requirement in self.match_expressions)


class AllowedNamespaces(Schema):
    """Namespaces whose jobs may use an object: the named ones, and those whose labels match."""

    model_config = with_rules(cel(_SOME_RULE, _SOME_TEXT))

    names: Annotated[list[Label], Field(max_length=256)] = Field(default=[], description="Names of namespaces.")
    selector: LabelSelector | None = Field(
        default=None,
        description="Selector on the labels of namespaces. An operator with watchNamespaces does not read these "
        "labels; there only names count.",
    )

    @model_validator(mode="after")
    def _at_least_one(self) -> "AllowedNamespaces":
        if not self.names and self.selector is None:
            raise ValueError(_SOME_TEXT)
        return self

    def allows(self, namespace: str, labels: Labels | None) -> bool:
        """Return whether a namespace is allowed. A selector does not match unknown labels (None)."""
        if namespace in self.names:
            return True
        return self.selector is not None and labels is not None and self.selector.matches(labels)
