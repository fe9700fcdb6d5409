"""Export a Transformers directory as a program of torch.export (model.pt2), and check that the outputs are equal."""

import warnings
from pathlib import Path
from typing import Final

import torch
from torch._export.verifier import SpecViolationError

from compression_runner.artifact import Artifact
from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.formats.comparison import Output, OutputDifference, compare_outputs
from compression_runner.formats.export import load_exportable
from compression_runner.formats.probes import Probe

PROGRAM: Final = "model.pt2"
FIELD: Final = "spec.output.format"
FAILURES: Final[tuple[type[Exception], ...]] = (SpecViolationError, *LIBRARY_ERRORS)


def export_program(artifact: Artifact, into: Path) -> OutputDifference:
    """Write the program with free batch and sequence axes to `into`, read it back, and compare its outputs.

    The program takes tensors by position, in the order of the task's inputs. Raises BadRecipe if torch cannot export
    the model, or if the outputs differ.
    """
    exportable = load_exportable(artifact)
    file = into / PROGRAM
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                exportable.module, exportable.inputs[0], dynamic_shapes=exportable.axes, strict=False
            )
            torch.export.save(program, file)
            # Loading can run code, but this process has just saved the file.
            read = torch.export.load(file).module()
    except FAILURES as error:
        raise _refused(f"torch cannot export the model: {cause(error)}") from error

    def answer(tensors: Probe) -> list[Output]:
        try:
            with torch.no_grad():
                outputs = read(*tensors)
        except FAILURES as error:
            raise _refused(f"it does not run on an input of another size: {cause(error)}") from error
        return [tensor.numpy() for tensor in (outputs if isinstance(outputs, tuple) else (outputs,))]

    return compare_outputs(exportable.module, answer, exportable.interface, exportable.inputs, refused=_refused)


def _refused(problem: str) -> BadRecipe:
    return BadRecipe("ExportFailed", FIELD, "torch-export", problem, "publish another format")
