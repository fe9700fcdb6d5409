"""From a Transformers directory to a program of torch.export (model.pt2) that is known to give the same answers."""

import warnings
from pathlib import Path
from typing import Final

import torch
from torch._export.verifier import SpecViolationError

from compression_runner.artifact import Artifact
from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.formats.comparison import Answer, Comparison, compare_answers
from compression_runner.formats.export import take
from compression_runner.formats.probes import Probe

PROGRAM: Final = "model.pt2"
FIELD: Final = "spec.output.format"
FAILURES: Final[tuple[type[Exception], ...]] = (SpecViolationError, *LIBRARY_ERRORS)


def export_program(artifact: Artifact, into: Path) -> Comparison:
    """Writes the program with free batch and sequence axes into `into`, and compares what it reads back.

    It takes tensors by position, in the order of the task's inputs. Raises BadRecipe where torch cannot export the
    model, or the program's outputs differ from the model's.
    """
    taken = take(artifact)
    place = into / PROGRAM
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(taken.module, taken.inputs[0], dynamic_shapes=taken.axes, strict=False)
            torch.export.save(program, place)
            # Made a moment ago: loading runs nothing but what was just saved.
            read = torch.export.load(place).module()
    except FAILURES as error:
        raise _refused(f"torch cannot export the model: {cause(error)}") from error

    def answer(tensors: Probe) -> list[Answer]:
        try:
            with torch.no_grad():
                found = read(*tensors)
        except FAILURES as error:
            raise _refused(f"it does not run on an input of another size: {cause(error)}") from error
        return [tensor.numpy() for tensor in (found if isinstance(found, tuple) else (found,))]

    return compare_answers(taken.module, answer, taken.interface, taken.inputs, refused=_refused)


def _refused(problem: str) -> BadRecipe:
    return BadRecipe("ExportFailed", FIELD, "torch-export", problem, "publish another format")
