"""The CPU reservation of a pod, from the operator's variables."""

import os
from collections.abc import Mapping

import pytest

from compression_runner.commands.pod import reservation_of
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.machine.cpus import CpuReservation
from compression_runner.pipeline.preflight import measuring_cpus
from compressionjob.errors import InvalidSpec
from compressionjob.pod_interface import CPUS_VARIABLE, ISOLATION_VARIABLE
from compressionjob.spec import parse_job
from tests.support.manifests import job


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, CpuReservation("Shared")),
        ({ISOLATION_VARIABLE: "Shared", CPUS_VARIABLE: "0"}, CpuReservation("Shared")),
        ({ISOLATION_VARIABLE: "StaticCPUs", CPUS_VARIABLE: "4"}, CpuReservation("StaticCPUs", 4)),
        ({ISOLATION_VARIABLE: "Node", CPUS_VARIABLE: "2"}, CpuReservation("Node", 2)),
        ({ISOLATION_VARIABLE: "Node", CPUS_VARIABLE: "0"}, CpuReservation("Node")),
    ],
)
def test_the_reservation_is_read(environment: Mapping[str, str], expected: CpuReservation) -> None:
    assert reservation_of(environment) == expected


@pytest.mark.parametrize(
    ("environment", "field"),
    [
        ({ISOLATION_VARIABLE: "Cell"}, ISOLATION_VARIABLE),
        ({ISOLATION_VARIABLE: "Turns"}, ISOLATION_VARIABLE),
        ({ISOLATION_VARIABLE: "StaticCPUs"}, CPUS_VARIABLE),
        ({ISOLATION_VARIABLE: "Node", CPUS_VARIABLE: "many"}, CPUS_VARIABLE),
    ],
)
def test_unknown_values_of_another_operator_are_refused(environment: Mapping[str, str], field: str) -> None:
    with pytest.raises(InvalidSpec, match="upgrade the operator") as caught:
        reservation_of(environment)
    assert caught.value.problems[0].field == field


def test_the_error_names_the_runtime_of_the_measurement() -> None:
    reservation = CpuReservation("StaticCPUs", len(os.sched_getaffinity(0)) + 1)
    spec = parse_job(job()).spec
    with pytest.raises(InvalidInput) as caught:
        measuring_cpus(spec, reservation)
    assert caught.value.field == "spec.runtime"
    elsewhere = spec.model_copy(update={"sla": spec.sla.model_copy(update={"runtime": "edge"})})
    with pytest.raises(InvalidInput) as caught:
        measuring_cpus(elsewhere, reservation)
    assert caught.value.field == "spec.sla.runtime"
