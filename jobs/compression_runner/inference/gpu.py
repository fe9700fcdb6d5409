"""Run a model on a GPU with an execution provider of onnxruntime, and learn where its nodes run.

onnxruntime itself only warns if a provider is missing or does not start, and runs the graph on the CPU. So each session
is asked which providers it has.
"""

import logging
import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

import onnxruntime

from compression_runner.errors import cause
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.onnx_session import RUNTIME_ERRORS
from compression_runner.inference.placement import CPU_PROVIDER, Placement, read_placement
from compression_runner.inference.predictor import SOURCE_MODEL, Feed, ModelOrigin
from compression_runner.inference.providers import PROVIDERS, providers_of
from compression_runner.inference.versions import engine_version
from compressionjob.engines import ProviderEngine

LOG: Final = logging.getLogger(__name__)
START_ERRORS: Final[tuple[type[Exception], ...]] = (RuntimeError, ValueError, *RUNTIME_ERRORS)


class GpuPredictor(OnnxPredictor):
    """An onnxruntime session over one ONNX file, with the provider of `engine`.

    It records a profile until `placement` ends that; the session that was profiled is the one that is measured. Raises
    RuntimeError if the provider does not start: onnxruntime would run the graph on the CPU.
    """

    def __init__(self, model: Path, threads: int, engine: ProviderEngine, origin: ModelOrigin = SOURCE_MODEL) -> None:
        self._engine: ProviderEngine = engine
        self._profile = Path(tempfile.mkdtemp(prefix="placement-"))
        try:
            super().__init__(model, threads, origin)
        except BaseException:
            self._discard_profile()
            raise

    def _opened(self, model: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        options.enable_profiling = True
        options.profile_file_prefix = str(self._profile / "profile")
        name = PROVIDERS[self._engine].name
        preload_libraries()
        if name not in onnxruntime.get_available_providers():
            raise RuntimeError(f"onnxruntime has no {name} here, and would use the CPU")
        providers = providers_of(self._engine, model)
        session = onnxruntime.InferenceSession(str(model), options, providers=providers, enable_fallback=False)
        if name not in session.get_providers():
            raise RuntimeError(f"{name} does not start, and onnxruntime would use the CPU")
        return session

    def placement(self, feed: Feed) -> Placement:
        """Run one batch, and return where each node ran."""
        self.run(feed)
        if self._session is None:
            raise ValueError("the predictor is closed")
        placement = read_placement(Path(self._session.end_profiling()))
        self._discard_profile()
        return placement

    def close(self) -> None:
        """Free the session."""
        super().close()
        self._discard_profile()

    def _discard_profile(self) -> None:
        shutil.rmtree(self._profile, ignore_errors=True)


def not_available(engine: ProviderEngine) -> str:
    """Return why the provider of an engine cannot run here; empty if a session with it opens."""
    provider = PROVIDERS[engine].name
    preload_libraries()
    available = onnxruntime.get_available_providers()
    if provider not in available:
        return f"onnxruntime {engine_version(engine)} of this image has no {provider} (it has {', '.join(available)})"
    try:
        if provider in _trial_session(provider).get_providers():
            return ""
    except START_ERRORS as error:
        LOG.warning("%s: %s", provider, cause(error))
    return f"{provider} does not start, for lack of a GPU, its driver or libraries (the log has the messages)"


def preload_libraries() -> None:
    """Load CUDA and cuDNN from their Python packages, since they are not on the path of the system's linker.

    Some builds have the provider only afterwards. onnxruntime prints what it cannot load.
    """
    with redirect_stdout(sys.stderr):
        onnxruntime.preload_dlls(directory="")


def _trial_session(provider: str) -> Any:
    """Open a session over the smallest graph."""
    from onnx import TensorProto, helper

    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "trial", shape[:1], shape[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=[provider, CPU_PROVIDER], enable_fallback=False
    )
