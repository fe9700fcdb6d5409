"""What the parameters of every method can tell of themselves."""

from abc import abstractmethod

from compressionjob.data import DataRole
from compressionjob.methods.promise import Promise
from compressionjob.schema import Schema


class Parameters(Schema):
    """The parameters of one stage."""

    @abstractmethod
    def promise(self) -> Promise:
        """What the method promises about its result, whatever the SLA asks."""

    def excludes_program(self) -> bool:
        """Whether no program of torch.export can be made of what the stage gives: of an ONNX graph, say."""
        return False

    def needs(self) -> frozenset[DataRole]:
        """The data that the stage cannot do without."""
        return frozenset()

    def models(self) -> dict[str, str]:
        """Other models that the stage reads, beside the one that it changes: name of the field -> location."""
        return {}
