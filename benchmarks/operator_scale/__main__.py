"""Measure the control loop: ``python -m benchmarks.operator_scale [N ...]`` writes results.json beside this file."""

# ruff: noqa: T201 - a benchmark prints its results

import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.operator_scale.controller import Controller, running, wait_leading
from benchmarks.operator_scale.load import (
    COMPRESSION_JOBS,
    JOBS,
    LABEL,
    RUNTIME,
    RUNTIMES,
    LoadClient,
    bare_jobs,
    compression_jobs,
    eventually,
    load_client,
)
from compressionjob.crd import definitions
from localcluster import apiserver

SIZES = (1_000, 5_000, 10_000)
BARE_JOBS = 1_000
AT_ONCE = 16
RATE = 20.0
SECONDS = 30.0
RESULTS = Path(__file__).with_name("results.json")


async def measure(size: int, kubeconfig: Path, folder: Path) -> dict[str, Any]:
    """Return all figures for ``size`` jobs on one fresh API server."""
    async with load_client(kubeconfig) as client:
        await client.send("POST", RUNTIMES, RUNTIME)
        bare = BARE_JOBS / await client.create(JOBS, bare_jobs(BARE_JOBS), AT_ONCE)
        await client.create(COMPRESSION_JOBS, compression_jobs("backlog", size), AT_ONCE)
        async with running(kubeconfig, folder, "first") as controller:
            work = await drain(client, controller, size)
            steady = await steady_applies(client)
            await all_written(controller, size + int(RATE * SECONDS))
            peak = controller.peak_mebibytes()
            events = await events_by_outcome(controller)
        async with running(kubeconfig, folder, "second") as controller:
            restart = await look_again(controller, size + int(RATE * SECONDS))
    return {
        "jobs": size,
        "bare_client_jobs_per_second": round(bare),
        **work,
        **steady,
        "peak_mebibytes": round(peak),
        "events": events,
        "restart": restart,
    }


async def drain(client: LoadClient, controller: Controller, size: int) -> dict[str, Any]:
    """Measure a backlog of ``size`` jobs that gets children and statuses: rate, and CPU time per job."""
    await wait_leading(controller)
    started, cpu_before = time.perf_counter(), controller.cpu_seconds()

    await all_written(controller, size)
    seconds = time.perf_counter() - started
    cpu = controller.cpu_seconds()
    page = await client.send("GET", JOBS, labelSelector=LABEL, limit="1")
    children = 1 + int(page["metadata"].get("remainingItemCount") or await _count(client) - 1)
    assert children == size, f"{children} children of {size} jobs"
    return {
        "child_jobs_per_second": round(size / seconds, 1),
        "cpu_seconds_per_1000_jobs": round(1000 * cpu / size, 2),
        "of_these_cpu_seconds_to_start_and_list": round(cpu_before, 1),
    }


async def all_written(controller: Controller, size: int) -> None:
    """Wait until every job has its child and its status."""

    async def done() -> bool:
        samples = await controller.samples()
        return samples.get('compression_operator_jobs{phase="Suspended",reason="SuspendedByUser"}') == size

    await eventually("every job has its child and status", done, seconds=900)


async def _count(client: LoadClient) -> int:
    return len((await client.send("GET", JOBS, labelSelector=LABEL))["items"])


async def steady_applies(client: LoadClient) -> dict[str, Any]:
    """Apply jobs at a steady rate beside all others; measure the time from the request to the child."""
    loop = asyncio.get_running_loop()
    seen: dict[str, float] = {}

    def see(event: dict[str, Any]) -> None:
        if event["type"] == "ADDED":
            seen.setdefault(event["object"]["metadata"]["labels"][LABEL], loop.time())

    watching = asyncio.create_task(client.watch(JOBS, LABEL, see))
    await asyncio.sleep(2)
    sent = await client.apply_at_rate(compression_jobs("steady", int(RATE * SECONDS)), RATE)

    async def all_seen() -> bool:
        return sent.keys() <= seen.keys()

    await eventually("every applied job has a child", all_seen, seconds=120)
    watching.cancel()
    times = sorted(1000 * (seen[uid] - sent[uid]) for uid in sent)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {
        "applies_per_second": RATE,
        "apply_to_child_ms": {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "max": round(times[-1], 1)},
    }


async def events_by_outcome(controller: Controller) -> dict[str, int]:
    """Return the number of Events by outcome: sent, repeated, dropped, failed."""
    samples = await controller.samples()
    name = 'compression_operator_events_total{outcome="'
    return {key[len(name) : -2]: int(value) for key, value in samples.items() if key.startswith(name)}


async def look_again(controller: Controller, size: int) -> dict[str, Any]:
    """Measure a restart with all jobs done: the time and cost until the operator has checked them."""
    started = time.perf_counter()
    await wait_leading(controller)

    async def all_looked_at() -> bool:
        samples = await controller.samples()
        return samples.get('compression_operator_reconcile_seconds_count{outcome="unchanged"}', 0) >= size

    await eventually("every job was looked at", all_looked_at, seconds=300)
    seconds = time.perf_counter() - started
    samples = await controller.samples()
    writes = sum(
        value
        for name, value in samples.items()
        if name.startswith("compression_operator_api_requests_total{")
        and any(f'verb="{verb}"' in name for verb in ("create", "patch", "delete"))
        and 'resource="leases"' not in name
    )
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(controller.cpu_seconds(), 1),
        "writes": int(writes),
        "peak_mebibytes": round(controller.peak_mebibytes()),
        "mebibytes": round(controller.mebibytes()),
    }


def machine() -> dict[str, Any]:
    """Describe the machine."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": models[0].split(":", 1)[1].strip() if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "load_average_at_start": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Measure each size on a fresh server, and replace its entry in results.json."""
    sizes = [int(argument) for argument in sys.argv[1:]] or list(SIZES)
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"sizes": {}}
    for size in sizes:
        where = machine()
        with apiserver.start() as server, tempfile.TemporaryDirectory() as folder:
            server.kubectl.apply(*definitions().values())
            server.kubectl.wait_for_crds()
            figures = asyncio.run(measure(size, server.kubeconfig, Path(folder)))
        results["sizes"][str(size)] = figures | {"machine": where}
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        print(json.dumps(results["sizes"][str(size)], indent=2))


if __name__ == "__main__":
    main()
