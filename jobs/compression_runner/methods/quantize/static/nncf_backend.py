"""Static INT8 for OpenVINO by nncf: SmoothQuant for transformers, fast bias correction, ranges from calibration data.

Source: https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/quantizing-models-post-training.html
"""

import io
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx

from compression_runner.calibration.feeding import Feed, graph_inputs
from compression_runner.errors import BadRecipe, cause
from compression_runner.formats.graph_weights import skipped_details
from compression_runner.formats.openvino_files import read, save
from compression_runner.inference.batch_axis import fixed_batch
from compression_runner.inference.openvino_settings import cpu_settings
from compression_runner.methods.quantize.static.batch_split import split_batches
from compression_runner.methods.quantize.static.fidelity import Fidelity, GraphOutputs, compare
from compression_runner.methods.quantize.static.node_selection import is_transformer
from compression_runner.methods.quantize.static.ranges import OUTSIDE
from compression_runner.methods.quantize.static.request import StaticRequest, require_fidelity
from compressionjob.methods.quantize import Static

# nncf sends telemetry to its developers unless it runs in their CI.
os.environ.setdefault("NNCF_CI", "1")

QUANTIZER: Final = "FakeQuantize"
MATRIX: Final = 2
"""Least number of axes longer than one of a weight: scales and biases have one."""
NO_STATISTICS: Final = "Calibration dataset must not be empty"
"""Beginning of nncf's error for a body that no sample reaches."""


def quantize(request: StaticRequest, into: Path) -> Mapping[str, Any]:
    """Write the INT8 model as an OpenVINO IR, and return details.

    Raises BadRecipe if nothing can be quantized, or the outputs differ too much from the float model.
    """
    graph = onnx.load(request.graph)
    feeds = _feeds(request, graph)
    calibration, validation = split_batches(feeds, disjoint=request.parameters.accuracy_control is not None)
    transformer = is_transformer(graph)
    del graph
    with _nncf_errors(request):
        model = read(request.graph)
        expected = _outputs(model, validation)
    request.advance(0.1)
    with _nncf_errors(request), _quiet():
        quantized = _quantize(request, model, calibration, validation, expected, transformer=transformer)
    counts = Counter(node.get_type_name() for node in quantized.get_ops())
    if not counts[QUANTIZER]:
        raise _nothing_quantized(request)
    with _nncf_errors(request):
        save(quantized, into)
        outputs = _outputs(quantized, validation)
    fidelity = compare(expected, outputs, classifies=request.classifies)
    require_fidelity(request, fidelity)
    return {
        "backend": "openvino",
        "quantizers": counts[QUANTIZER],
        "transformer": transformer,
        "calibrationSamples": len(request.samples),
        "checkedBatches": len(validation),
        "calibrationCosine": round(fidelity.cosine, 6) if fidelity.compared else None,
        "calibrationAgreement": fidelity.agreement,
        **skipped_details(_float_weights(quantized)),
    }


@contextmanager
def _nncf_errors(request: StaticRequest) -> Iterator[None]:
    """Convert errors of OpenVINO and nncf for a graph to BadRecipe."""
    try:
        yield
    except _library_errors() as error:
        problem = f"OpenVINO or nncf cannot quantize the graph: {cause(error)}"
        if NO_STATISTICS in str(error):
            problem = "the calibration data does not reach every layer: a branch of an If is never taken"
        remedy = "use backend onnxruntime, or remove the stage"
        raise BadRecipe("QuantizeFailed", request.field, "openvino", problem, remedy) from error


def _library_errors() -> tuple[type[Exception], ...]:
    """Return the errors of OpenVINO and nncf; nncf's have no common base."""
    import nncf.errors

    errors = (value for value in vars(nncf.errors).values() if isinstance(value, type))
    return (RuntimeError, *(error for error in errors if issubclass(error, Exception)))


def _float_weights(model: Any) -> dict[str, int]:
    """Return constant -> bytes of the matrices and kernels that are still floats, also in bodies of If and Loop."""
    weights: dict[str, int] = {}
    for node in model.get_ordered_ops():
        if _is_float_weight(node):
            weights[node.get_friendly_name()] = int(node.get_byte_size())
        for body in _bodies(node):
            weights |= _float_weights(body)
    return weights


def _is_float_weight(node: Any) -> bool:
    is_float = node.get_type_name() == "Constant" and bool(node.get_element_type().is_real())
    return is_float and sum(size > 1 for size in node.shape) >= MATRIX


def _bodies(node: Any) -> list[Any]:
    """Return the bodies of an If, a Loop or a TensorIterator."""
    if node.get_type_name() == "If":
        return [node.get_function(0), node.get_function(1)]
    return [node.get_function()] if node.get_type_name() in ("Loop", "TensorIterator") else []


def _feeds(request: StaticRequest, graph: onnx.ModelProto) -> list[Feed]:
    """Return one feed per sample: nncf averages the ranges of feeds."""
    inputs = graph_inputs(graph)
    each = fixed_batch(inputs) or 1
    return [request.samples.batch([index] * each, inputs) for index in range(len(request.samples))]


def _quantize(
    request: StaticRequest,
    model: Any,
    calibration: Sequence[Feed],
    validation: Sequence[Feed],
    expected: GraphOutputs,
    *,
    transformer: bool,
) -> Any:
    import nncf

    settings: dict[str, Any] = {
        "subset_size": len(calibration),
        "model_type": nncf.ModelType.TRANSFORMER if transformer else None,
        "fast_bias_correction": True,
    }
    control = request.parameters.accuracy_control
    if control is None:
        return nncf.quantize(
            model, nncf.Dataset(list(calibration)), advanced_parameters=_advanced(request.parameters), **settings
        )

    def validate(compiled: Any, feeds: Any) -> tuple[float, list[float] | None]:
        fidelity = compare(expected, _run(compiled, list(feeds)), classifies=request.classifies)
        return 1.0 - fidelity.drop, None

    controlled = nncf.quantize_with_accuracy_control(
        model,
        nncf.Dataset(list(calibration)),
        nncf.Dataset(list(validation)),
        validate,
        max_drop=control.max_drop,
        advanced_quantization_parameters=_advanced(request.parameters),
        **settings,
    )
    fidelity = compare(expected, _outputs(controlled, validation), classifies=request.classifies)
    _require_limit(request, fidelity, control.max_drop)
    return controlled


def _nothing_quantized(request: StaticRequest) -> BadRecipe:
    """Return the error for a model without integers: nncf quantized nothing, or restored all of it."""
    control = request.parameters.accuracy_control
    if control is None:
        problem = "the graph has no operators that OpenVINO computes in INT8"
        return BadRecipe("NothingToQuantize", request.field, "static", problem, "remove the stage")
    problem = f"no part of the model can be quantized with a loss of at most {control.max_drop:g}"
    field = f"{request.field}.accuracyControl.maxDrop"
    return BadRecipe("TooLossy", field, control.max_drop, problem, "allow more, or use backend onnxruntime")


def _require_limit(request: StaticRequest, fidelity: Fidelity, limit: float) -> None:
    if fidelity.drop > limit:
        field = f"{request.field}.accuracyControl.maxDrop"
        problem = f"nncf restores parts to floats, but the loss on calibration data is still {fidelity.drop:.4f}"
        raise BadRecipe("TooLossy", field, limit, problem, "allow more, or use backend onnxruntime")


def _advanced(parameters: Static) -> Any:
    """Return the settings of the spec, with nncf's defaults for the others."""
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        AdvancedSmoothQuantParameters,
        QuantizationParameters,
    )
    from nncf.quantization.range_estimator import (
        AggregatorType,
        RangeEstimatorParameters,
        RangeEstimatorParametersSet,
        StatisticsCollectorParameters,
        StatisticsType,
    )

    advanced = AdvancedQuantizationParameters()
    if parameters.granularity == "tensor":
        advanced.weights_quantization_params = QuantizationParameters(per_channel=False)
    if parameters.smooth_quant is not None:
        advanced.smooth_quant_alphas = AdvancedSmoothQuantParameters(matmul=parameters.smooth_quant)
    if parameters.calibration == "minmax":
        advanced.activations_range_estimator_params = RangeEstimatorParametersSet.MINMAX
    if parameters.calibration == "percentile":
        quantile = StatisticsCollectorParameters(
            StatisticsType.QUANTILE, AggregatorType.MEAN, quantile_outlier_prob=OUTSIDE / 2
        )
        advanced.activations_range_estimator_params = RangeEstimatorParameters(quantile, quantile)
    return advanced


def _outputs(model: Any, feeds: Sequence[Feed]) -> GraphOutputs:
    import openvino

    return _run(openvino.Core().compile_model(model, "CPU", cpu_settings(1)), feeds)


def _run(compiled: Any, feeds: Sequence[Feed]) -> GraphOutputs:
    """Return every float output, one row per row of a feed."""
    outputs = GraphOutputs()
    inference = compiled.create_infer_request()
    ports = [port for port in compiled.outputs if port.get_element_type().is_real()]
    for feed in feeds:
        results = inference.infer(dict(feed))
        if not outputs.add([np.asarray(results[port]) for port in ports]):
            break
    return outputs


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the progress bars and advice of nncf: the stage reports progress."""
    logger = logging.getLogger("nncf")
    before = logger.level
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        import nncf

        assert nncf.__version__
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(before)
