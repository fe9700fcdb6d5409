"""Run a module of PyTorch, eager or through torch.compile, on the CPU or a GPU.

torch.compile is called with free sizes (`dynamic`): one program answers batches and texts of all sizes, except that
sizes of 0 and 1, and sizes that are equal, may get programs of their own. By default, torch first compiles for the
sizes of the first run alone, so that the program of a query would depend on earlier ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from compression_runner.errors import LIBRARY_ERRORS, BadRecipe, InvalidInput, RunnerError, cause
from compression_runner.inference.batch_axis import locate_batch
from compression_runner.inference.predictor import Feed, ModelOrigin, Predictor, TensorInfo
from compressionjob.engines import COMPILING_ENGINES, GPU_ENGINES, TorchEngine

COMPILING: Final[Mapping[str, Any]] = {
    "dynamic": True,
    # Both models run the same code, so without this the programs of one would count as those of the other.
    "isolate_recompiles": True,
    "recompile_limit": 64,
    # Each process that compiles in parallel would load torch, and stay until the end of the measurement.
    "options": {"compile_threads": 1},
}
"""Arguments of torch.compile."""
ENGINE_FIELD: Final = "spec.benchmark.engine"
BATCH: Final = "batch"


class TorchPredictor(Predictor):
    """A module that takes tensors by position, in the order of `examples`, and returns one tensor or a tuple of them.

    `examples` are inputs of several sizes: an axis whose size differs among them is free, and the first is the batch.
    Floating-point inputs are converted to the type of the weights, and outputs to float32, since numpy has no bfloat16.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        examples: Sequence[Feed],
        outputs: Sequence[str],
        threads: int,
        engine: TorchEngine,
        origin: ModelOrigin,
    ) -> None:
        """Raise the error of the model's origin if the module does not run on the first two examples."""
        self._origin, self._engine, self._threads = origin, engine, threads
        self._names, self._places = list(examples[0]), {name: place for place, name in enumerate(outputs)}
        self._type = _type_of(module)
        self._device = torch.device("cuda" if engine in GPU_ENGINES else "cpu")
        self._threads_before = torch.get_num_threads()
        self._module: Any = module.to(self._device)
        self.precision = str(self._type).removeprefix("torch.")
        self._outputs_in_order = list(outputs)
        answers = [dict(zip(outputs, self.run(feed, list(outputs)), strict=True)) for feed in examples[:2]]
        self.inputs, self.outputs = locate_batch(_described(examples), _described(answers))
        self.compiles = engine in COMPILING_ENGINES
        if self.compiles:
            fail_without_compiling()
            self._module = torch.compile(self._module, **COMPILING)

    def run(self, feed: Feed, outputs: list[str] | None = None) -> list[NDArray[np.generic]]:
        """Return the named outputs (all by default) for one batch.

        Raises the error of the model's origin if the module does not run on `feed` or cannot be compiled.
        """
        if self._module is None:
            raise ValueError("the predictor is closed")
        use_threads(self._threads)
        try:
            with torch.inference_mode():
                answers = self._module(*(self._tensor(feed[name]) for name in self._names))
                tensors = answers if isinstance(answers, tuple) else (answers,)
                return [_array(tensors[self._places[name]]) for name in outputs or self._outputs_in_order]
        except LIBRARY_ERRORS as error:
            raise self._failed(feed, error) from error

    def close(self) -> None:
        """Free the model, and restore torch's number of threads."""
        if self._module is not None:
            self._module = None
            if self.compiles:
                torch.compiler.reset()  # it keeps the programs of all models
            use_threads(self._threads_before)

    def _tensor(self, array: NDArray[np.generic]) -> torch.Tensor:
        # torch warns of arrays that it could change.
        tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
        return tensor.to(self._device, self._type if tensor.is_floating_point() else None)

    def _failed(self, feed: Feed, error: Exception) -> RunnerError:
        if not (self.compiles and is_of_compiler(error)):
            return self._origin.not_running(self._engine, feed, error)
        name = "compressed" if self._origin.compressed else "baseline"
        problem = f"torch.compile cannot compile the {name} model: {cause(error)}"
        if self._origin.compressed:
            remedy = "change the parameters of the stage, or use the engine without compile"
            return BadRecipe("NotCompiling", self._origin.field, self._engine, problem, remedy)
        return InvalidInput("NotCompiling", ENGINE_FIELD, self._engine, problem, "use the engine without compile")


def use_threads(threads: int) -> None:
    """Let torch use this many threads in a call of this thread.

    torch has one number for the process, which other users of torch may have changed; OpenMP keeps it for each thread.
    Another number makes torch start threads, so it stays until the predictor is closed.
    """
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def is_of_compiler(error: Exception) -> bool:
    """Return whether an error comes from torch.compile, and not from the model."""
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException)


def fail_without_compiling() -> None:
    """Let a model that needs more programs than the limit fail: torch would silently run it without compiling."""
    import torch._dynamo.config as settings

    settings.fail_on_recompile_limit_hit = True


@contextmanager
def no_compiling() -> Iterator[None]:
    """Let a run in the block fail that would compile: its time would count as that of the model."""
    with torch.compiler.set_stance("fail_on_recompile"):
        yield


def _type_of(module: torch.nn.Module) -> torch.dtype:
    """Return the type of most weights."""
    sizes: dict[torch.dtype, int] = {}
    for parameter in module.parameters():
        if parameter.is_floating_point():
            sizes[parameter.dtype] = sizes.get(parameter.dtype, 0) + parameter.numel()
    return max(sizes, key=lambda kind: sizes[kind], default=torch.float32)


def _array(tensor: torch.Tensor) -> NDArray[np.generic]:
    values: NDArray[np.generic] = (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
    return values


def _described(examples: Sequence[Feed]) -> list[TensorInfo]:
    """Return names, types and shapes of tensors; an axis is free if its size differs among the examples."""
    return [_info(name, [feed[name] for feed in examples]) for name in examples[0]]


def _info(name: str, arrays: Sequence[NDArray[np.generic]]) -> TensorInfo:
    sizes = list(zip(*(array.shape for array in arrays), strict=True))
    shape = tuple(None if place == 0 or len(set(size)) > 1 else size[0] for place, size in enumerate(sizes))
    free = (BATCH if place == 0 else f"length{place}" if size is None else "" for place, size in enumerate(shape))
    return TensorInfo(name, arrays[0].dtype, shape, symbols=tuple(free))
