"""Faults planted on the runner's side, each of which the comparison with the library must catch."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import numpy_helper

from benchmarks.families.baseline import Baseline, with_padding

Folder = Callable[[Path], None]
Answering = Callable[[Baseline], Baseline]


@dataclass(frozen=True)
class Fault:
    """One fault, in the runner's model folder or in its baseline. `family` is a family that it affects."""

    family: str
    folder: Folder | None = None
    answering: Answering = lambda baseline: baseline

    @property
    def changes_folder(self) -> bool:
        """Whether the runner reads a different model than the library."""
        return self.folder is not None


def _pool_otherwise(model: Path) -> None:
    """Set pooling to the first token's state instead of the mean."""
    place = model / "1_Pooling" / "config.json"
    settings: dict[str, Any] = json.loads(place.read_text())
    modes = {name: name == "pooling_mode_cls_token" for name in settings if name.startswith("pooling_mode_")}
    place.write_text(json.dumps({**settings, **modes}))


def _swap_labels(baseline: Baseline) -> Baseline:
    """Exchange the names of the first two classes."""
    first, second, *others = baseline.classes
    return replace(baseline, classes=(second, first, *others))


def _pad_with_words(baseline: Baseline) -> Baseline:
    """Pad rows with the token of a word."""
    return with_padding(baseline, baseline.data.padding["input_ids"] + 9)


def _drop_last(baseline: Baseline) -> Baseline:
    """Drop the last value of each answer."""
    return replace(baseline, dropped=1)


def _shift_positions(baseline: Baseline) -> Baseline:
    """Give each token the position of the next, in the graph's table of positions.

    Raises ValueError for a graph without such a table.
    """
    model = onnx.load(baseline.graph)
    tables = [tensor for tensor in model.graph.initializer if any(part in tensor.name for part in POSITIONS)]
    if not tables:
        raise ValueError(f"{baseline.graph} has no table of positions")
    for tensor in tables:
        rows = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(rows[[*range(1, len(rows)), 0]], tensor.name))
    place = baseline.graph.with_name("shifted.onnx")
    onnx.save(model, place)
    return replace(baseline, graph=place)


POSITIONS: Final = ("position_embeddings.weight", "wpe.weight", "embed_positions.weight")
FAULTS: Final[Mapping[str, Fault]] = {
    "pooling": Fault("text-embedding/bert", folder=_pool_otherwise),
    "pad": Fault("text-classification/gpt2", answering=_pad_with_words),
    "labels": Fault("text-classification/gpt2", answering=_swap_labels),
    "output": Fault("text-classification/gpt2", answering=_drop_last),
    "positions": Fault("text-classification/gpt2", answering=_shift_positions),
}
"""Name of a fault -> fault."""


def planted_folder(fault: Fault, folder: Path, into: Path) -> Path:
    """Copy a family's folder, with the fault in the runner's model."""
    shutil.copytree(folder / "model", into / "model", dirs_exist_ok=True)
    shutil.copytree(folder / "data", into / "data", dirs_exist_ok=True)
    if fault.folder:
        fault.folder(into / "model")
    return into
