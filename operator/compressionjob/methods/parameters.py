"""What the parameters of every method say of themselves."""

from abc import abstractmethod
from typing import ClassVar, Final

from compressionjob.data import DataRole
from compressionjob.methods.predicate import AllOf, AnyOf, Predicate, Rule
from compressionjob.methods.promise import Promise
from compressionjob.schema import Schema

NEVER: Final = AnyOf()
ALWAYS: Final = AllOf()


class Parameters(Schema):
    """The parameters of one stage."""

    variant: ClassVar[str] = ""
    """Which method of its family this is; empty for a family of one."""
    summary: ClassVar[str] = ""
    """What the method of a family does, in half a sentence."""
    rules: ClassVar[tuple[Rule, ...]] = ()
    """What must hold between its fields."""
    observes: ClassVar[Predicate] = NEVER
    """With which parameters the method looks at activations, on calibration data."""
    trains: ClassVar[Predicate] = NEVER
    """With which parameters the method trains, on training data."""

    @abstractmethod
    def promise(self) -> Promise:
        """Return what the method promises about its result, whatever the SLA asks."""

    def excludes_program(self) -> bool:
        """Return whether no program of torch.export can be made of the result: of an ONNX graph, say."""
        return False

    def needs(self) -> frozenset[DataRole]:
        """Return the data that the stage cannot do without."""
        values = self.to_json()
        roles: dict[DataRole, Predicate] = {"calibration": self.observes, "training": self.trains}
        return frozenset(role for role, condition in roles.items() if condition.holds(values))

    def models(self) -> dict[str, str]:
        """Return other models that the stage reads, beside the one that it changes: name of the field -> location."""
        return {}

    def chosen(self) -> "Parameters":
        """Return the parameters of the one method that the stage names: these themselves, but for a family."""
        return self
