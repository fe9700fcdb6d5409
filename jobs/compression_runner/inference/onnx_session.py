"""Open ONNX graphs in onnxruntime; its errors have no common public type."""

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
    """Open a session on the CPU; raise one of RUNTIME_ERRORS if the graph does not load.

    By default, onnxruntime quantizes activations to 8 bits when it multiplies them with weights of fewer bits; `exact`
    keeps them float32.
    """
    onnxruntime.disable_telemetry_events()  # it would warn in a pod, where it cannot write
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no warnings of the optimizer
    # There are few calls: threads that spin for the next one would take CPUs from torch and from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if exact:
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")  # float32
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
