"""The interface of the parameters of every method."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final

from compressionjob.data import DataRole
from compressionjob.field_types import Schema
from compressionjob.methods.predicate import AllOf, AnyOf, Predicate, Rule
from compressionjob.methods.promise import Promise

NEVER: Final = AnyOf()
ALWAYS: Final = AllOf()


@dataclass(frozen=True)
class LabelNeed:
    """A parameter that asks for labels in the training data: its field in the stage, its value, and the remedy."""

    field: str
    value: str
    remedy: str


class Parameters(Schema):
    """The parameters of one stage."""

    variant: ClassVar[str] = ""
    """Name of the method in its family; empty for a family of one."""
    summary: ClassVar[str] = ""
    """The method in a phrase, for the description of the field ``method``."""
    rules: ClassVar[tuple[Rule, ...]] = ()
    """Rules across its fields."""
    observes: ClassVar[Predicate] = NEVER
    """Parameters with which the method observes activations on calibration data."""
    trains: ClassVar[Predicate] = NEVER
    """Parameters with which the method trains on training data."""

    @abstractmethod
    def promise(self) -> Promise:
        """Return bounds for the compressed model that hold whatever the SLA requires."""

    def excludes_program(self) -> bool:
        """Return whether torch.export cannot export the result, such as an ONNX graph."""
        return False

    def needs(self) -> frozenset[DataRole]:
        """Return the data that the stage needs."""
        values = self.to_json()
        roles: dict[DataRole, Predicate] = {"calibration": self.observes, "training": self.trains}
        return frozenset(role for role, condition in roles.items() if condition.holds(values))

    def models(self) -> dict[str, str]:
        """Return the other models that the stage reads, by the name of their field."""
        return {}

    def labels_needed(self) -> LabelNeed | None:
        """Return what asks for labels in the training data; None if the stage trains without labels."""
        return None

    def chosen(self) -> "Parameters":
        """Return the parameters of the selected method: of a family those of one variant, otherwise these."""
        return self
