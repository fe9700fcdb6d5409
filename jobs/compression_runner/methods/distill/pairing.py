"""Whether a student can learn from a teacher at all: the same inputs, and answers of the same shape."""

import hashlib
from typing import Final

import torch

from compression_runner.artifact import Artifact
from compression_runner.errors import BadRecipe
from compression_runner.training.batches import Batch
from compression_runner.training.model import Trainable

READERS: Final = ("tokenizer.json", "vocab.txt", "preprocessor_config.json")
"""What makes inputs of data; the first that both have decides."""


def require_same_input(student: Artifact, teacher: Artifact, field: str) -> None:
    """Raises BadRecipe where the two read data differently: one's token 7 would be another word to the other."""
    for name in READERS:
        places = [artifact.path / name for artifact in (student, teacher)]
        if all(place.is_file() for place in places):
            if len({hashlib.sha256(place.read_bytes()).digest() for place in places}) > 1:
                problem = f"student and teacher have different {name}, and would read the same data differently"
                raise BadRecipe("TeacherMismatch", field, name, problem, "use a student with its teacher's tokenizer")
            return


def require_same_answers(student: Trainable, teacher: Trainable | None, example: Batch, field: str) -> None:
    """Raises BadRecipe where the teacher's answers are of another shape."""
    if teacher is None:
        return
    with torch.no_grad():
        shapes = [tuple(model.outputs(example.inputs)[0].shape[1:]) for model in (student, teacher)]
    if shapes[0] != shapes[1]:
        problem = f"the student answers in {shapes[0]}, the teacher in {shapes[1]}"
        remedy = "name a teacher with the same classes (or width of embeddings), or learn from hidden states"
        raise BadRecipe("TeacherMismatch", field, shapes[1], problem, remedy)
