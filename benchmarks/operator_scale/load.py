"""Create the load: CompressionJobs and bare Jobs."""

import asyncio
import copy
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from compression_operator.child.job import child_job
from compression_operator.cluster.credentials import Credentials
from compression_operator.records.job import JobRecord
from compressionjob.runtime import parse_runtime
from compressionjob.spec import parse_job

COMPRESSION_JOBS = "/apis/compression-operator.io/v1alpha1/namespaces/default/compressionjobs"
RUNTIMES = "/apis/compression-operator.io/v1alpha1/compressionruntimes"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
LABEL = "compression-operator.io/job-uid"

RUNTIME: dict[str, Any] = {
    "apiVersion": "compression-operator.io/v1alpha1",
    "kind": "CompressionRuntime",
    "metadata": {"name": "cpu"},
    "spec": {"image": "runner:1", "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}}},
}
# Suspended: the operator creates its child and writes its status, and then nothing happens without a kubelet.
JOB: dict[str, Any] = {
    "apiVersion": "compression-operator.io/v1alpha1",
    "kind": "CompressionJob",
    "metadata": {"name": ""},
    "spec": {
        "model": {"source": "s3://models/minilm", "task": "text-embedding"},
        "storage": {"secretName": "s3", "endpoint": "http://s3.example:7070"},
        "data": {"evaluation": {"source": "s3://data/sentences.parquet", "limit": 1000}},
        "pipeline": [
            {"prune": {"method": "magnitude", "sparsity": "0.3"}},
            {"quantize": {"method": "dynamic", "dtype": "int8", "granularity": "channel"}},
            {"pack": {"codec": "zstd"}},
        ],
        "sla": {
            "quality": {"metric": "cosine", "maxDrop": "0.01"},
            "latency": {"percentile": "p99", "max": "20ms"},
            "size": {"maxRatio": "0.26"},
        },
        "output": {"destination": "s3://models/minilm-int8"},
        "deadline": "2h",
        "suspend": True,
    },
}


class LoadClient:
    """A client with one session and a given number of concurrent requests."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, method: str, path: str, body: Any = None, **params: str) -> dict[str, Any]:
        """Send one request, and return its response. Raises aiohttp.ClientResponseError if it is refused."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        async with self._session.request(method, path, data=data, params=params, headers=headers) as answer:
            answer.raise_for_status()
            document: dict[str, Any] = await answer.json()
            return document

    async def create(self, path: str, manifests: list[dict[str, Any]], at_once: int) -> float:
        """Create objects with ``at_once`` concurrent requests; return the seconds."""
        waiting = iter(manifests)

        async def work() -> None:
            for manifest in waiting:
                await self.send("POST", path, manifest)

        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
        return time.perf_counter() - started

    async def apply_at_rate(self, manifests: list[dict[str, Any]], rate: float) -> dict[str, float]:
        """Create CompressionJobs at a steady rate; return the loop time of each request, by uid."""
        loop = asyncio.get_running_loop()
        started, sent = loop.time(), dict[str, float]()

        async def apply(manifest: dict[str, Any]) -> None:
            at = loop.time()
            created = await self.send("POST", COMPRESSION_JOBS, manifest)
            sent[created["metadata"]["uid"]] = at

        async with asyncio.TaskGroup() as group:
            for number, manifest in enumerate(manifests):
                await asyncio.sleep(max(0.0, started + number / rate - loop.time()))
                group.create_task(apply(manifest))
        return sent

    async def watch(self, path: str, selector: str, see: Callable[[dict[str, Any]], None]) -> None:
        """Pass every event of a watch to ``see`` until cancelled."""
        now = (await self.send("GET", path, limit="1"))["metadata"]["resourceVersion"]
        params = {"watch": "true", "resourceVersion": now, "labelSelector": selector}
        async with self._session.get(path, params=params, timeout=aiohttp.ClientTimeout(total=None)) as stream:
            buffer = b""
            async for chunk in stream.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    see(json.loads(line))


@asynccontextmanager
async def load_client(kubeconfig: Path) -> AsyncIterator[LoadClient]:
    """Yield a client for this kubeconfig."""
    connection = await Credentials({**os.environ, "KUBECONFIG": str(kubeconfig)}).load()
    connector = aiohttp.TCPConnector(limit=0, ssl=connection.ssl_context())
    async with aiohttp.ClientSession(connection.server, connector=connector) as session:
        yield LoadClient(session)


def compression_jobs(prefix: str, count: int) -> list[dict[str, Any]]:
    """Return manifests of CompressionJobs."""
    jobs = [_named(JOB, f"{prefix}-{number}") for number in range(count)]
    for job in jobs:  # separate destinations: a job waits for a destination that is in use
        job["spec"]["output"] = {"destination": f"s3://models/{job['metadata']['name']}"}
    return jobs


def bare_jobs(count: int) -> list[dict[str, Any]]:
    """Return Jobs as the operator creates them, but without an owner and outside of its watch."""
    uid = "00000000-0000-4000-8000-000000000000"
    named = _named(JOB, "bare")
    named["metadata"] |= {"uid": uid, "namespace": "default", "resourceVersion": "1"}
    spec, runtime = parse_job(named).spec, parse_runtime(RUNTIME).spec
    manifest = child_job(JobRecord.of(named), spec, runtime)
    del manifest["metadata"]["labels"][LABEL]
    del manifest["metadata"]["ownerReferences"]
    return [_named(manifest, f"bare-{number}") for number in range(count)]


def _named(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    named = copy.deepcopy(manifest)
    named["metadata"]["name"] = name
    return named


async def eventually(what: str, look: Callable[[], Awaitable[bool]], seconds: float, pause: float = 0.25) -> None:
    """Poll ``look`` until it is true. Raises TimeoutError with ``what`` after ``seconds``."""
    end = time.monotonic() + seconds
    while not await look():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(pause)
