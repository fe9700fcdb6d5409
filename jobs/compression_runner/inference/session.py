"""Opening ONNX graphs in onnxruntime, and the errors that it raises: they have no common type that is public."""

from pathlib import Path
from typing import Any, Final

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

RUNTIME_ERRORS: Final[tuple[type[Exception], ...]] = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NotImplemented,
    state.RuntimeException,
)


def open_session(graph: Path, exact: bool = False) -> Any:
    """A session on the CPU; raises one of RUNTIME_ERRORS where the graph does not load.

    onnxruntime quantizes what it multiplies with weights of few bits to 8 bits, unless it is to be `exact`.
    """
    onnxruntime.disable_telemetry_events()  # it would warn in a pod, where it cannot write
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # warnings of the optimiser are not the reader's business
    # A few calls: threads that wait for the next one would only take CPUs from torch, and from others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if exact:
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")  # float32
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
