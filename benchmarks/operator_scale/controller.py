"""Run the operator as a process, and measure its CPU time and memory from outside."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.operator_scale.load import eventually
from localcluster import ports

_COMMAND = (sys.executable, "-m", "compression_operator", "run")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Controller:
    """One running operator."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """CPU time so far, user and system, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak_mebibytes(self) -> float:
        """Return the peak of the resident memory."""
        return self._memory("VmHWM")

    def mebibytes(self) -> float:
        """Return the current resident memory."""
        return self._memory("VmRSS")

    async def samples(self) -> dict[str, float]:
        """Its metrics by sample."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.port}/metrics") as answer,
        ):
            lines = (await answer.text()).splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def _memory(self, name: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        raise AssertionError(f"the kernel shows no {name}")


@asynccontextmanager
async def running(kubeconfig: Path, folder: Path, lease: str) -> AsyncIterator[Controller]:
    """Run an operator with its default settings, from its start as leader until the block ends."""
    port = ports.free()
    environment = _environment(kubeconfig, folder)
    warm_up = await asyncio.create_subprocess_exec(
        *_COMMAND, "--help", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    await warm_up.wait()
    with (folder / f"operator-{lease}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, f"--port={port}", f"--lease-name={lease}", "--log-level=warning",
            stdout=log, stderr=log, env=environment,
        )  # fmt: skip
        try:
            yield Controller(process.pid, port)
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def _environment(kubeconfig: Path, folder: Path) -> dict[str, str]:
    """Return the environment, with cached byte code as in the operator's image."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"KUBECONFIG": str(kubeconfig), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


async def leads(controller: Controller) -> bool:
    """Return whether the operator is the leader."""
    try:
        return (await controller.samples()).get("compression_operator_leader") == 1
    except aiohttp.ClientError:
        return False


async def wait_leading(controller: Controller) -> None:
    """Wait until the operator is the leader."""
    await eventually("the operator leads", lambda: leads(controller), seconds=120, pause=0.1)
