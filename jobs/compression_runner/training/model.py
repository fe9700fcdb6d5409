"""A model that can be trained: a Transformers model with its task's reduction, from an artifact and back to one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from compression_runner.artifact import Artifact, Format, seal
from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, cause
from compression_runner.formats import surgery
from compression_runner.formats.companions import copy_companions
from compression_runner.formats.linear import as_linear, as_stored
from compression_runner.formats.safetensors_files import stored_type
from compression_runner.formats.surgery import Surgery
from compression_runner.formats.task_module import Interface, wrap
from compression_runner.formats.transformers_model import load_model, save_model
from compression_runner.training.compute import HOST, Compute, bring_home
from compressionjob.spec import Task


@dataclass
class Trainable:
    """A model with its task's interface; `changes` sets it apart from its configuration, None where nothing does."""

    module: torch.nn.Module
    """From the inputs by position to logits (batch, classes) or (batch, sequence, vocabulary), or embeddings (batch,
    width)."""
    interface: Interface
    task: Task
    changes: Surgery | None
    compute: Compute = HOST
    stored: torch.dtype = torch.float32
    """What its numbers are kept as, and came as; they are computed with as float32."""

    @property
    def inner(self) -> torch.nn.Module:
        """The Transformers model."""
        model: torch.nn.Module = self.module.model  # type: ignore[assignment]
        return model

    def outputs(self, inputs: tuple[torch.Tensor, ...], **more: bool) -> tuple[torch.Tensor, Any]:
        """What the task's module answers, and the inner model's outputs; `more` asks for hidden states, attentions.

        Raises BadRecipe where the model does not run on these inputs.
        """
        here = (tensor.to(self.compute.device) for tensor in inputs)
        given: Mapping[str, torch.Tensor] = dict(zip(self.interface.inputs, here, strict=True))
        with self.compute.autocast:
            found = self._run(given, **more)
            answers: torch.Tensor = self.module.reduce(found, given)  # type: ignore[operator]
        return answers.float(), found

    def _run(self, given: Mapping[str, torch.Tensor], **more: bool) -> Any:
        try:
            return self.inner(**given, **more)
        except torch.OutOfMemoryError:
            raise
        except LIBRARY_ERRORS as error:
            kind, problem = type(self.inner).__name__, f"the model does not run on the data: {cause(error)}"
            remedy = "see that it runs in transformers on this data"
            raise BadRecipe("UnsupportedModel", "spec.model.source", kind, problem, remedy) from error

    def move(self, compute: Compute) -> None:
        """Moves the model, in place; until it is moved back nothing but training can use it."""
        compute.take(self.module)
        self.compute = compute

    def bring_home(self) -> None:
        """Moves the model back to the CPU, in place."""
        bring_home(self.module)
        self.compute = HOST

    def settle(self) -> None:
        """Rounds the model, in place, to what will be kept of it.

        Raises BadRecipe for a number that this type does not hold.
        """
        if self.stored == torch.float32:
            return
        self.inner.to(self.stored).float()
        for name, tensor in self.inner.state_dict().items():
            if not bool(torch.isfinite(tensor).all()):
                kind = str(self.stored).removeprefix("torch.")
                problem = f"the model came in it, and {name} has a number by now that it does not hold"
                remedy = "save the source in bfloat16 or float32"
                raise BadRecipe("NumbersTooLarge", "spec.model.source", kind, problem, remedy)

    def freeze(self) -> "Trainable":
        """The same model as a teacher: nothing of it learns."""
        self.module.requires_grad_(False)
        self.module.train(False)
        return self


def load(artifact: Artifact) -> Trainable:
    """The model of an artifact in the transformers or the torch format.

    Raises InvalidInput or BadRecipe as `load_model` does.
    """
    model = load_model(artifact.path, artifact.task)
    module, interface = wrap(model, artifact.path, artifact.task)
    changed = (artifact.path / surgery.SURGERY).is_file()
    changes = surgery.read(artifact.path) if changed else None
    return Trainable(module, interface, artifact.task, changes, stored=stored_type(artifact.path))


def load_linear(artifact: Artifact) -> Trainable:
    """The model as `load` has it, whose linear layers are all nn.Linear; `save` turns them back.

    Raises InvalidInput or BadRecipe as `load_model` does.
    """
    trainable = load(artifact)
    as_linear(trainable.inner)
    return trainable


def save(trainable: Trainable, before: Artifact, into: Path) -> Artifact:
    """Seals the model in `into`, with the tokenizer and other companions of `before`; in 16 bits if it came so."""
    trainable.bring_home()
    trainable.settle()
    as_stored(trainable.inner)
    copy_companions(before, into, modules=True)
    (into / surgery.SURGERY).unlink(missing_ok=True)
    trainable.inner.to(trainable.stored)
    save_model(trainable.inner, trainable.changes, into)
    trainable.inner.float()
    format_: Format = "transformers" if trainable.changes is None else "torch"
    return seal(into, format_, trainable.task)
