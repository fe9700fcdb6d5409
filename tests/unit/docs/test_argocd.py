"""The health check of docs/argocd.md, run by Lua 5.1 as in Argo CD, on statuses of every phase."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from compressionjob.conditions import STUCK, UNSCHEDULABLE
from compressionjob.status import PHASES
from tests.support.operator.phases import SITUATIONS, Situation

PAGE: Final = Path(__file__).parents[3] / "docs" / "argocd.md"
KEY: Final = "resource.customizations.health.compression-operator.io_CompressionJob"
WORDS: Final = {"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}
"""Health states of Argo CD (https://argo-cd.readthedocs.io/en/stable/operator-manual/health)."""


def script() -> str:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (lua,) = [data[KEY] for block in blocks if KEY in (data := yaml.safe_load(block).get("data", {}))]
    return str(lua)


def health_of(resource: dict[str, Any]) -> tuple[str, str]:
    """Return health and message in Argo CD. Its script gets the resource as ``obj``, and only Lua's basic libraries."""
    lua = LuaRuntime(unpack_returned_tuples=True, register_eval=False)
    lua.globals().obj = lua.table_from(resource, recursive=True)
    for library in ("os", "io", "package", "debug", "require", "python"):
        lua.globals()[library] = None
    answer = lua.execute(script())
    return answer.status, answer.message


def resource(status: dict[str, Any] | None, generation: int = 1) -> dict[str, Any]:
    job: dict[str, Any] = {"kind": "CompressionJob", "metadata": {"name": "minilm-int8", "generation": generation}}
    return job if status is None else job | {"status": status}


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.title)
def test_argo_cd_reads_every_phase(situation: Situation) -> None:
    record = situation.job()
    status = record.status().to_json()
    assert record.phase == situation.phase
    health, message = health_of(resource(status))
    assert health == situation.health
    assert record.reason in message
    assert status["message"] in message


def test_every_phase_has_a_situation_and_a_row_on_the_page() -> None:
    assert {situation.phase for situation in SITUATIONS} == set(PHASES)
    assert all(f"`{phase}`" in PAGE.read_text() for phase in PHASES)


def test_a_job_that_no_operator_has_seen_is_in_progress() -> None:
    assert health_of(resource(None))[0] == "Progressing"
    assert health_of(resource({}))[0] == "Progressing"
    succeeded = {"phase": "Succeeded", "observedGeneration": 1}
    assert health_of(resource(succeeded))[0] == "Healthy"
    assert health_of(resource(succeeded, generation=2))[0] == "Progressing"


def test_a_phase_of_a_later_version_is_in_progress() -> None:
    assert health_of(resource({"phase": "Verifying", "observedGeneration": 1}))[0] == "Progressing"


@pytest.mark.parametrize("reason", STUCK)
def test_reasons_that_need_a_person_are_degraded_except_unschedulable(reason: str) -> None:
    status = {"phase": "Pending", "reason": reason, "observedGeneration": 1, "message": "why"}
    assert health_of(resource(status)) == ("Progressing" if reason == UNSCHEDULABLE else "Degraded", f"{reason}: why")


def test_all_health_states_are_known_to_argo_cd() -> None:
    assert {situation.health for situation in SITUATIONS} <= WORDS
