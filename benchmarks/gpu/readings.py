"""The readings of the driver (NVML) while this process and another one compute on the GPU."""

import multiprocessing
import time
from typing import Any, Final

import torch

from compression_runner.gpu.watch import watching

SECONDS: Final = 4.0
SIZE: Final = 8192


def check_readings(gpu: torch.device) -> dict[str, Any]:
    """Return energy and noise, alone and beside a process that multiplies matrices on the same GPU."""
    uuid = str(torch.cuda.get_device_properties(gpu).uuid)
    alone = _watched(uuid, gpu)
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    neighbour = context.Process(target=_multiply, args=(str(gpu), 4 * SECONDS, started))
    neighbour.start()
    try:
        started.wait(60)
        beside = _watched(uuid, gpu)
    finally:
        neighbour.kill()
        neighbour.join()
    # In some containers the driver lists no processes and no energy: the figures are absent then, without an error.
    seen = beside.get("sharedLooks", 0) > 0 or beside.get("mostOtherBytes", 0) > 0
    return {"alone": alone, "beside": beside, "neighbourSeen": seen, "passed": bool(alone) and bool(beside)}


def _watched(uuid: str, gpu: torch.device) -> dict[str, Any]:
    with watching(uuid, lambda: torch.cuda.memory_reserved(gpu)) as watch:
        end = time.monotonic() + SECONDS
        matrix = torch.randn(SIZE, SIZE, device=gpu, dtype=torch.bfloat16)
        while time.monotonic() < end:
            matrix = torch.nn.functional.normalize(matrix @ matrix)
            torch.cuda.synchronize(gpu)
            watch.step()
        return watch.to_report()


def _multiply(gpu: str, seconds: float, started: Any) -> None:
    matrix = torch.randn(2 * SIZE, 2 * SIZE, device=gpu, dtype=torch.bfloat16)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        matrix = torch.nn.functional.normalize(matrix @ matrix)
        torch.cuda.synchronize()
        started.set()
