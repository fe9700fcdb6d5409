"""Trainable models: load a Transformers model with its task head from an artifact, and save it as one."""

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
from compression_runner.training.compute import HOST, Compute, move_to_cpu
from compressionjob.spec import Task


@dataclass
class Trainable:
    """A model with the interface of its task; `changes` are its differences from its configuration, or None."""

    module: torch.nn.Module
    """From the inputs by position to logits (batch, classes) or (batch, sequence, vocabulary), or embeddings (batch,
    width)."""
    interface: Interface
    task: Task
    changes: Surgery | None
    compute: Compute = HOST
    stored: torch.dtype = torch.float32
    """The type of the stored weights; computations use float32."""

    @property
    def inner(self) -> torch.nn.Module:
        """The Transformers model."""
        model: torch.nn.Module = self.module.model  # type: ignore[assignment]
        return model

    def outputs(self, inputs: tuple[torch.Tensor, ...], **more: bool) -> tuple[torch.Tensor, Any]:
        """Return the output of the task module, and that of the inner model; `more` requests hidden states, attentions.

        Raises BadRecipe if the model does not run on these inputs.
        """
        on_device = (tensor.to(self.compute.device) for tensor in inputs)
        named_inputs: Mapping[str, torch.Tensor] = dict(zip(self.interface.inputs, on_device, strict=True))
        with self.compute.autocast:
            inner = self._run(named_inputs, **more)
            answers: torch.Tensor = self.module.reduce(inner, named_inputs)  # type: ignore[operator]
        return answers.float(), inner

    def _run(self, named_inputs: Mapping[str, torch.Tensor], **more: bool) -> Any:
        try:
            return self.inner(**named_inputs, **more)
        except torch.OutOfMemoryError:
            raise
        except LIBRARY_ERRORS as error:
            kind, problem = type(self.inner).__name__, f"the model does not run on the data: {cause(error)}"
            remedy = "check that the model runs in transformers on this data"
            raise BadRecipe("UnsupportedModel", "spec.model.source", kind, problem, remedy) from error

    def move(self, compute: Compute) -> None:
        """Move the model, in place; only training can use it until `move_to_cpu`."""
        compute.move(self.module)
        self.compute = compute

    def move_to_cpu(self) -> None:
        """Move the model back to the CPU, in place."""
        move_to_cpu(self.module)
        self.compute = HOST

    def round_to_stored(self) -> None:
        """Round the weights, in place, to the type in which they are stored.

        Raises BadRecipe for a number beyond the range of this type.
        """
        if self.stored == torch.float32:
            return
        self.inner.to(self.stored).float()
        for name, tensor in self.inner.state_dict().items():
            if not bool(torch.isfinite(tensor).all()):
                kind = str(self.stored).removeprefix("torch.")
                problem = f"it is the type of the source, and {name} now has a number beyond its range"
                remedy = "save the source in bfloat16 or float32"
                raise BadRecipe("NumbersTooLarge", "spec.model.source", kind, problem, remedy)

    def freeze(self) -> "Trainable":
        """Freeze the model as a teacher, and return it."""
        self.module.requires_grad_(False)
        self.module.train(False)
        return self


def load(artifact: Artifact) -> Trainable:
    """Load the model of an artifact in the transformers or the torch format.

    Raises InvalidInput or BadRecipe as `load_model` does.
    """
    model = load_model(artifact.path, artifact.task)
    module, interface = wrap(model, artifact.path, artifact.task)
    changed = (artifact.path / surgery.SURGERY).is_file()
    changes = surgery.read(artifact.path) if changed else None
    return Trainable(module, interface, artifact.task, changes, stored=stored_type(artifact.path))


def load_linear(artifact: Artifact) -> Trainable:
    """Load the model with all linear layers as nn.Linear; `save` restores their classes.

    Raises InvalidInput or BadRecipe as `load_model` does.
    """
    trainable = load(artifact)
    as_linear(trainable.inner)
    return trainable


def save(trainable: Trainable, before: Artifact, into: Path) -> Artifact:
    """Seal the model in `into` in its stored type, with the tokenizer and other companions of `before`."""
    trainable.move_to_cpu()
    trainable.round_to_stored()
    as_stored(trainable.inner)
    copy_companions(before, into, modules=True)
    (into / surgery.SURGERY).unlink(missing_ok=True)
    trainable.inner.to(trainable.stored)
    save_model(trainable.inner, trainable.changes, into)
    trainable.inner.float()
    format_: Format = "transformers" if trainable.changes is None else "torch"
    return seal(into, format_, trainable.task)
