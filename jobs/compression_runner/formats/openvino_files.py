"""OpenVINO's own format, and the way to it from ONNX."""

import re
from pathlib import Path
from typing import Any, Final

IR: Final = "model.xml"
WEIGHTS: Final = "model.bin"


def read(graph: Path) -> Any:
    """The model of an IR or ONNX file; raises RuntimeError where OpenVINO does not know what is in it."""
    import openvino

    return openvino.Core().read_model(graph)


def save(model: Any, folder: Path) -> Path:
    """Writes `model.xml` and `model.bin` into `folder`: weights in the types that they have.

    The same model gives the same bytes: names that OpenVINO makes up count all that the process has made before.
    """
    import openvino

    _number_anew(model)
    openvino.save_model(model, folder / IR, compress_to_fp16=False)
    return folder / IR


def _number_anew(model: Any) -> None:
    """Gives nodes that are called by their type and a number the number of their place in the model."""
    nodes = model.get_ordered_ops()
    made_up = [node for node in nodes if re.fullmatch(rf"{node.get_type_name()}_\d+", node.get_friendly_name())]
    taken = {node.get_friendly_name() for node in nodes} - {node.get_friendly_name() for node in made_up}
    number = 0
    for node in made_up:
        while (name := f"{node.get_type_name()}_{number}") in taken:
            number += 1
        node.set_friendly_name(name)
        number += 1
