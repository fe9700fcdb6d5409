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
from compression_runner.formats.openvino_files import read, save
from compression_runner.inference.batch_axis import fixed_batch
from compression_runner.inference.openvino_settings import cpu_settings
from compression_runner.methods.quantize.static.dividing import divide
from compression_runner.methods.quantize.static.fidelity import Answers, Fidelity, compare
from compression_runner.methods.quantize.static.ranges import OUTSIDE
from compression_runner.methods.quantize.static.recipe import is_transformer
from compression_runner.methods.quantize.static.work import Work, require_whole
from compressionjob.methods.quantize import Static

# nncf sends what it does to its makers unless it takes itself to run in their own tests.
os.environ.setdefault("NNCF_CI", "1")

QUANTIZER: Final = "FakeQuantize"


def quantize(work: Work, into: Path) -> Mapping[str, Any]:
    """Writes the INT8 model as an OpenVINO IR, and tells what was done.

    Raises BadRecipe where nothing can be quantized, or the result answers otherwise than the float model.
    """
    graph = onnx.load(work.graph)
    feeds = _feeds(work, graph)
    observed, checked = divide(feeds, apart=work.parameters.accuracy_control is not None)
    transformer = is_transformer(graph)
    del graph
    with _refusing(work):
        model = read(work.graph)
        expected = _answer(model, checked)
    work.advance(0.1)
    with _refusing(work), _quiet():
        quantized = _quantize(work, model, observed, checked, expected, transformer=transformer)
    counts = Counter(node.get_type_name() for node in quantized.get_ops())
    if not counts[QUANTIZER]:
        raise _nothing_left(work)
    with _refusing(work):
        save(quantized, into)
        answers = _answer(quantized, checked)
    fidelity = compare(expected, answers, classifies=work.classifies)
    require_whole(work, fidelity)
    return {
        "backend": "openvino",
        "quantizers": counts[QUANTIZER],
        "transformer": transformer,
        "calibrationSamples": len(work.samples),
        "checkedBatches": len(checked),
        "calibrationCosine": round(fidelity.cosine, 6) if fidelity.compared else None,
        "calibrationAgreement": fidelity.agreement,
    }


@contextmanager
def _refusing(work: Work) -> Iterator[None]:
    """Turn what OpenVINO and nncf raise for a graph into BadRecipe."""
    try:
        yield
    except RuntimeError as error:
        problem = f"OpenVINO or nncf cannot quantize the graph: {cause(error)}"
        remedy = "use backend onnxruntime, or leave the stage out"
        raise BadRecipe("QuantizeFailed", work.field, "openvino", problem, remedy) from error


def _feeds(work: Work, graph: onnx.ModelProto) -> list[Feed]:
    """One sample for each feed: nncf averages the ranges of feeds."""
    inputs = graph_inputs(graph)
    each = fixed_batch(inputs) or 1
    return [work.samples.batch([index] * each, inputs) for index in range(len(work.samples))]


def _quantize(
    work: Work,
    model: Any,
    observed: Sequence[Feed],
    checked: Sequence[Feed],
    expected: Answers,
    *,
    transformer: bool,
) -> Any:
    import nncf

    settings: dict[str, Any] = {
        "subset_size": len(observed),
        "model_type": nncf.ModelType.TRANSFORMER if transformer else None,
        "fast_bias_correction": True,
    }
    control = work.parameters.accuracy_control
    if control is None:
        return nncf.quantize(
            model, nncf.Dataset(list(observed)), advanced_parameters=_advanced(work.parameters), **settings
        )

    def validate(compiled: Any, feeds: Any) -> tuple[float, list[float] | None]:
        found = compare(expected, _run(compiled, list(feeds)), classifies=work.classifies)
        return 1.0 - found.drop, None

    controlled = nncf.quantize_with_accuracy_control(
        model,
        nncf.Dataset(list(observed)),
        nncf.Dataset(list(checked)),
        validate,
        max_drop=control.max_drop,
        advanced_quantization_parameters=_advanced(work.parameters),
        **settings,
    )
    found = compare(expected, _answer(controlled, checked), classifies=work.classifies)
    _require_limit(work, found, control.max_drop)
    return controlled


def _nothing_left(work: Work) -> BadRecipe:
    """Why there is no integer in the result: nncf found nothing to do, or gave all of it back."""
    control = work.parameters.accuracy_control
    if control is None:
        problem = "nncf finds nothing in the graph that OpenVINO computes in INT8"
        return BadRecipe("NothingToQuantize", work.field, "static", problem, "leave the stage out")
    problem = f"no part of the model can be quantized with a loss of at most {control.max_drop:g}"
    field = f"{work.field}.accuracyControl.maxDrop"
    return BadRecipe("TooLossy", field, control.max_drop, problem, "allow more, or use backend onnxruntime")


def _require_limit(work: Work, found: Fidelity, limit: float) -> None:
    if found.drop > limit:
        field = f"{work.field}.accuracyControl.maxDrop"
        problem = f"with all that nncf gives back to floats, {found.drop:.4f} is lost on the calibration data"
        raise BadRecipe("TooLossy", field, limit, problem, "allow more, or use backend onnxruntime")


def _advanced(parameters: Static) -> Any:
    """What the spec asks for; nncf's own choice where it says nothing."""
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


def _answer(model: Any, feeds: Sequence[Feed]) -> Answers:
    import openvino

    return _run(openvino.Core().compile_model(model, "CPU", cpu_settings(1)), feeds)


def _run(compiled: Any, feeds: Sequence[Feed]) -> Answers:
    """Every float output, one row for each row of a feed."""
    answers = Answers()
    request = compiled.create_infer_request()
    ports = [port for port in compiled.outputs if port.get_element_type().is_real()]
    for feed in feeds:
        found = request.infer(dict(feed))
        if not answers.add([np.asarray(found[port]) for port in ports]):
            break
    return answers


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back progress bars and advice, which nncf prints: progress is told by the stage."""
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
