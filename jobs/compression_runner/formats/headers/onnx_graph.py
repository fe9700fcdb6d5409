"""The content of an ONNX file, as far as its header states it."""

from dataclasses import dataclass, field

from compression_runner.formats.graph_weights import WEIGHTS
from compression_runner.formats.headers.tensors import Tensor
from compression_runner.inference.predictor import TensorInfo


@dataclass(frozen=True)
class ExternalData:
    """The location of tensor data outside the graph file."""

    location: str
    offset: int
    length: int


@dataclass(frozen=True)
class StoredTensor:
    """The location of the raw numbers of a tensor: a file beside the graph, or with location "" the graph file."""

    tensor: Tensor
    location: str
    offset: int
    length: int


@dataclass
class OnnxGraph:
    """The content of a graph: tensors, inputs and outputs, operators, and data outside the file.

    Tensors and operators include those of Constant nodes, bodies of If and Loop, and model-local functions.
    `multiplied` are the names that layers read as a weight, and `layers` the operators that read one. A Gather from a
    shape is not a layer; `shapes` has the names of shapes. `takes` and `gives` are the inputs and outputs with type and
    shape; `kinds` has the kind of those that are not tensors.
    """

    tensors: list[Tensor] = field(default_factory=list)
    stored: list[StoredTensor] = field(default_factory=list)
    externals: list[ExternalData] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    takes: list[TensorInfo] = field(default_factory=list)
    gives: list[TensorInfo] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    operators: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    multiplied: set[str] = field(default_factory=set)
    layers: set[str] = field(default_factory=set)
    shapes: set[str] = field(default_factory=set)
    defined: set[str] = field(default_factory=set)
    ir_version: int = 0

    def note(self, operator: str, inputs: list[str], output: str) -> None:
        """Record a node."""
        self.operators.add(operator)
        self.multiplied.update(inputs[place] for place in WEIGHTS.get(operator, ()) if place < len(inputs))
        if operator == "Shape":
            self.shapes.add(output)
        elif operator in WEIGHTS and (operator != "Gather" or not self.shapes.intersection(inputs)):
            self.layers.add(operator)
