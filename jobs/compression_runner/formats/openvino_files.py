"""Read and save models in the OpenVINO IR format."""

import re
from pathlib import Path
from typing import Any, Final

IR: Final = "model.xml"
WEIGHTS: Final = "model.bin"


def read(graph: Path) -> Any:
    """Read the model of an IR or ONNX file; raises RuntimeError if OpenVINO does not support it."""
    import openvino

    return openvino.Core().read_model(graph)


def save(model: Any, folder: Path) -> Path:
    """Write `model.xml` and `model.bin` to `folder`, without changing the types of weights.

    Equal models give equal bytes: nodes are renumbered, since OpenVINO's generated names depend on previous models.
    """
    import openvino

    _renumber_nodes(model)
    openvino.save_model(model, folder / IR, compress_to_fp16=False)
    return folder / IR


def _renumber_nodes(model: Any) -> None:
    """Renumber the generated names of nodes (type and number) in the order of the model."""
    nodes = model.get_ordered_ops()
    generated = [node for node in nodes if re.fullmatch(rf"{node.get_type_name()}_\d+", node.get_friendly_name())]
    taken = {node.get_friendly_name() for node in nodes} - {node.get_friendly_name() for node in generated}
    number = 0
    for node in generated:
        while (name := f"{node.get_type_name()}_{number}") in taken:
            number += 1
        node.set_friendly_name(name)
        number += 1
