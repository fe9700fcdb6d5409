"""The steps of a replica before it leads."""

import asyncio
from collections.abc import Mapping
from typing import Any
from unittest.mock import MagicMock

import pytest

from compression_operator.process import replica


async def test_a_new_leader_compares_its_cache_with_the_cluster_before_it_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Job of the last leader that no watch has reported yet may write where another job is about to write."""
    steps: list[str] = []
    standby = MagicMock()
    standby._caught_up = asyncio.Event()
    standby._caught_up.set()  # at the start of the process, hours ago

    async def catch_up() -> None:
        steps.append("compare")

    async def run_together(_: Mapping[str, Any]) -> None:
        steps.append("lead")

    standby._catch_up = catch_up
    monkeypatch.setattr(replica, "run_together", run_together)
    await replica.Replica._lead(standby)
    assert steps == ["compare", "lead"]
