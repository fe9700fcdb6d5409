"""The titles and names in the report."""

import pytest

from compression_runner.report.wording import duration, energy, measured_on, objective_title, per_cent, placed, ran_in
from compressionjob.objectives import Sla
from compressionjob.report import Environment, PlacementReport
from compressionjob.serving import LATENCIES
from compressionjob.sla_objectives import objectives_of

OBJECTIVES = [
    {"quality": {"metric": "accuracy", "maxDrop": "0.01", "min": "0.9"}},
    {"quality": {"metric": "mae", "maxIncrease": "0.01", "max": "3"}},
    {"latency": {"percentile": "p99", "max": "1s", "minSpeedup": "2"}},
    {"throughput": {"min": "3"}},
    {"size": {"maxRatio": "0.5", "max": "1Gi"}},
    {"memory": {"max": "1Gi", "maxRatio": "0.5"}},
    {"cost": {"maxPerMillion": "0.5"}},
    {"fairness": {"metric": "accuracy", "minWorst": "0.8", "maxGap": "0.1", "maxGapIncrease": "0.1"}},
    *(
        {"robustness": {kind: {"maxDrop": "0.1", "min": "0.5"} | more}}
        for kind, more in (("noise", {"level": "0.1"}), ("corruption", {}), ("attack", {"epsilon": "0.03"}))
    ),
    {"attributions": {"minAgreement": "0.8"}},
    {"flips": {"max": "0.01"}},
    *({name: {"percentile": "p90", "max": "1s", "maxRatio": "2"}} for name in LATENCIES),
    {"ttft": {"max": "1s"}, "goodput": {"min": "1", "minRatio": "0.9"}},
    {"outputLength": {"minRatio": "0.9", "maxRatio": "1.1"}},
    {"recovery": {"min": "0.99"}},
]


@pytest.mark.parametrize("limits", OBJECTIVES, ids=str)
def test_every_objective_has_a_readable_title(limits: dict[str, object]) -> None:
    objectives = objectives_of(Sla.model_validate(limits))
    assert objectives
    titles = [objective_title(item.name, "accuracy", "p99") for item in objectives]
    assert not [title for title in titles if "." in title or title.lower() == "cost"]


@pytest.mark.parametrize(
    ("isolation", "pinned", "sentence"),
    [
        ("StaticCPUs", True, "Measured on CPUs 2,6, pinned; its node reserved them for the pod alone."),
        ("Node", True, "Measured on CPUs 2,6, pinned; no other pod of a CompressionJob was on its node."),
        ("Shared", False, "Measured on CPUs 2,6, not pinned; nothing kept other work off them."),
        ("Cell", True, "Measured on CPUs 2,6, pinned; Cell."),
    ],
)
def test_the_cpus_of_a_measurement_are_a_sentence(isolation: str, pinned: bool, sentence: str) -> None:
    environment = Environment(measured_cpus="2,6", isolation=isolation, pinned=pinned)
    assert measured_on(environment) == sentence


GPU_ENVIRONMENT = Environment(
    measured_in="onnxruntime-cuda 1.31.1 (CUDAExecutionProvider)",
    device="NVIDIA H200",
    driver="570.86.15",
    precision="the types of the graph, float32 without TF32",
    placement=[
        PlacementReport(
            model="baseline",
            nodes={"CPUExecutionProvider": 3, "CUDAExecutionProvider": 12},
            shapes_on_cpu={"Concat": 3},
        ),
        PlacementReport(model="compressed", nodes={"CUDAExecutionProvider": 9}),
    ],
)


def test_the_engine_and_device_of_a_measurement_are_a_sentence() -> None:
    assert ran_in(GPU_ENVIRONMENT) == (
        "Both models ran in onnxruntime-cuda 1.31.1 (CUDAExecutionProvider) on NVIDIA H200 (driver 570.86.15). "
        "Precision: the types of the graph, float32 without TF32."
    )
    on_cpu = Environment(measured_in="onnxruntime 1.32.0", device="CPU", precision="the types of the graph")
    assert ran_in(on_cpu) == "Both models ran in onnxruntime 1.32.0 on the CPU. Precision: the types of the graph."
    assert ran_in(Environment(measured_in="onnxruntime 1.31.0")) == "", "a report of an earlier version"


def test_the_nodes_of_both_models_are_counted_by_provider() -> None:
    assert placed(GPU_ENVIRONMENT) == [
        (
            "nodes of the baseline model",
            "CPUExecutionProvider 3, CUDAExecutionProvider 12; shapes on the CPU: Concat 3",
        ),
        ("nodes of the compressed model", "CUDAExecutionProvider 9"),
    ]
    assert placed(Environment()) == []


@pytest.mark.parametrize(
    ("share", "text"), [(0.0123, "1.23 %"), (0.95, "95 %"), (1.0, "100 %"), (9.997, "1000 %"), (12.34, "1234 %")]
)
def test_a_share_has_no_exponent(share: float, text: str) -> None:
    assert per_cent(share) == text


def test_a_figure_that_rounds_up_has_the_next_unit() -> None:
    assert [duration(seconds) for seconds in (0.9994, 0.9996, 0.0009996)] == ["999 ms", "1.00 s", "1.00 ms"]
    assert [energy(joules) for joules in (999.4, 999.6)] == ["999 J", "1.00 kJ"]
