"""Check that a student can learn from a teacher: the same inputs, and outputs of the same shape."""

import hashlib
from typing import Final

import torch

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.training.batches import Batch
from compression_runner.training.model import Trainable

PREPROCESSORS: Final = ("tokenizer.json", "vocab.txt", "preprocessor_config.json")
"""Files that define the inputs; the first that both models have decides."""


def require_same_input(student: Artifact, teacher: Artifact, field: str) -> None:
    """Raise BadRecipe if the two prepare data differently, for example with different vocabularies."""
    for name in PREPROCESSORS:
        files = [artifact.path / name for artifact in (student, teacher)]
        if all(file.is_file() for file in files):
            if len({hashlib.sha256(file.read_bytes()).digest() for file in files}) > 1:
                problem = f"student and teacher have different {name}, so the same data gives different inputs"
                raise BadRecipe("TeacherMismatch", field, name, problem, "use a student with its teacher's tokenizer")
            return


def require_same_answers(student: Trainable, teacher: Trainable | None, example: Batch, field: str) -> None:
    """Raise BadRecipe if the outputs of the teacher have another shape."""
    if teacher is None:
        return
    with torch.no_grad():
        shapes = [tuple(model.outputs(example.inputs)[0].shape[1:]) for model in (student, teacher)]
    if shapes[0] != shapes[1]:
        problem = f"the student answers in {shapes[0]}, the teacher in {shapes[1]}"
        remedy = "name a teacher with the same classes (or width of embeddings), or learn from hidden states"
        raise BadRecipe("TeacherMismatch", field, shapes[1], problem, remedy)
