"""Sessions of onnxruntime for a few calls."""

import numpy as np

from compression_runner.inference.onnx_session import open_session
from tests.support.graphs import LinearModel


def test_threads_do_not_spin_while_they_wait(linear_model: LinearModel) -> None:
    session = open_session(linear_model("linear", np.ones((4, 2), dtype=np.float32)))
    assert session.get_session_options().get_session_config_entry("session.intra_op.allow_spinning") == "0"
