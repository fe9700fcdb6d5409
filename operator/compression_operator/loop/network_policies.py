"""Reconcile the runners' NetworkPolicies: create them before the first pod, and keep them until the last one is gone.

The operator's RBAC is limited to two names of NetworkPolicies. So it uses server-side apply (RBAC cannot check the name
in a POST), and lists and watches with a field selector.
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from compression_operator.cache.cache import Cache
from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import (
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    PolicyRefused,
    Refused,
)
from compression_operator.cluster.resources import NETWORK_POLICIES
from compression_operator.queue import WorkQueue
from compressionjob.group import MANAGED_BY, MANAGED_BY_LABEL

SWEEP: Final = 10.0
"""Seconds between two checks for namespaces that have lost their last job, or whose policies have changed."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Maximum seconds between two attempts to list and watch; half of it is jitter."""

Manifest = Mapping[str, Any]
Content = Callable[[str], Mapping[str, Manifest]]
"""Returns the wanted policies of a namespace with runners, by name."""
Key = tuple[str, str]
"""Namespace and name."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Policy:
    """A policy that exists."""

    uid: str
    version: int
    spec: Any
    labels: Mapping[str, str]

    @property
    def ours(self) -> bool:
        """Whether the operator created it."""
        return self.labels.get(MANAGED_BY_LABEL) == MANAGED_BY

    def has(self, labels: Mapping[str, str], spec: Any) -> bool:
        """Return whether it has at least these labels, and exactly this spec."""
        return labels.items() <= self.labels.items() and self.spec == spec


class NetworkPolicies:
    """The policies of all namespaces with CompressionJobs. Only the leader runs it.

    ``names`` are the possible names of the operator's policies, ``content`` returns the wanted policies of a namespace.
    No ``namespaces`` means all of them.
    """

    def __init__(
        self, client: Client, cache: Cache, names: Sequence[str], content: Content, namespaces: Sequence[str]
    ) -> None:
        self._client = client
        self._cache = cache
        self._names = names
        self._content = content
        self._scopes: Sequence[str | None] = namespaces or (None,)
        self._queue = WorkQueue()
        self._known: dict[Key, _Policy] = {}
        self._applied: dict[Key, tuple[Manifest, Any]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure(self, namespace: str) -> None:
        """Apply the policies of a namespace, before its first pod is created.

        Raises PolicyRefused if the API server refuses one, and the other errors of ``cluster.errors``.
        """
        async with self._locks[namespace]:
            await self._apply(namespace)

    def kept(self) -> list[Key]:
        """Return namespace and name of the operator's policies that are known to exist."""
        return sorted(key for key, policy in self._known.items() if policy.ours)

    async def run(self) -> None:
        """Reconcile the policies until cancelled."""
        self._queue.clear()
        self._known.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work())
            for scope in self._scopes:
                for name in self._names:
                    group.create_task(self._follow(scope, name))
            group.create_task(self._sweep())

    async def _work(self) -> None:
        while True:
            namespace = await self._queue.get()
            try:
                async with self._locks[namespace]:
                    await self._reconcile(namespace)
            except ApiError as error:
                delay = self._queue.retry(namespace, error.retry_after)
                about = {"namespace": namespace}
                logger.warning("NetworkPolicies: trying again in %.1f s: %s", delay, error, extra=about)
            except Exception:
                self._queue.retry(namespace)
                logger.exception("this is a bug", extra={"namespace": namespace})
            else:
                self._queue.forget(namespace)
            finally:
                self._queue.done(namespace)

    async def _reconcile(self, namespace: str) -> None:
        wanted = await self._apply(namespace) if namespace in self._with_runners() else {}
        for name in self._names:
            key, policy = (namespace, name), self._known.get((namespace, name))
            if name not in wanted and policy is not None and policy.ours:
                del self._known[key]
                self._applied.pop(key, None)
                with suppress(NotFound, Conflict):
                    await self._client.delete(NETWORK_POLICIES, namespace, name, policy.uid)
                logger.info("removed the NetworkPolicy %s", name, extra={"namespace": namespace})

    async def _apply(self, namespace: str) -> Mapping[str, Manifest]:
        """Apply the missing or changed policies of a namespace; return all wanted policies."""
        wanted = self._content(namespace)
        for name, manifest in wanted.items():
            if self._is_current((namespace, name), manifest):
                continue
            try:
                answer = await self._client.apply(NETWORK_POLICIES, namespace, manifest)
            except (Forbidden, Invalid) as error:
                raise _refusal(name, error) from error
            self._applied[namespace, name] = (manifest, answer["spec"])
            self._note(answer)
            logger.info("applied the NetworkPolicy %s", name, extra={"namespace": namespace})
        return wanted

    def _is_current(self, key: Key, manifest: Manifest) -> bool:
        policy, (applied, stored) = self._known.get(key), self._applied.get(key, (None, None))
        labels = manifest["metadata"]["labels"]
        # The API server adds defaults to what it stores.
        specs = [manifest["spec"], *([stored] if applied == manifest else [])]
        return policy is not None and any(policy.has(labels, spec) for spec in specs)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            self.sweep()

    def sweep(self) -> None:
        """Queue the namespaces with missing, changed or superfluous policies."""
        with_runners = self._with_runners()
        for namespace in with_runners:
            if not all(self._is_current((namespace, name), it) for name, it in self._content(namespace).items()):
                self._queue.add(namespace)
        for namespace in {namespace for namespace, _ in self._known} - with_runners:
            self._queue.add(namespace)

    def _with_runners(self) -> set[str]:
        """Return the namespaces with CompressionJobs, or with Jobs and pods of deleted ones."""
        return {job.namespace for job in self._cache.jobs()} | self._cache.writers.namespaces()

    async def _follow(self, scope: str | None, name: str) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                version = await self._list(scope, name)
                for namespace in self._with_runners():
                    self._queue.add(namespace)
                pause = FIRST_PAUSE
                await self._watch(scope, name, version)
            except Gone:
                continue
            except ApiError as error:
                wait = max(error.retry_after, pause * random.uniform(0.5, 1.0))
                pause = min(LONGEST_PAUSE, 2 * pause)
                logger.warning("NetworkPolicies %s: watching again in %.1f s: %s", name, wait, error)
                await asyncio.sleep(wait)

    async def _list(self, scope: str | None, name: str) -> str:
        present: set[Key] = set()
        version = ""
        async for page in self._client.pages(NETWORK_POLICIES, scope, fields=f"metadata.name={name}"):
            version = page["metadata"]["resourceVersion"]
            present |= {self._note(item) for item in page["items"]}
        for key in [key for key in self._known if key[1] == name and scope in (None, key[0]) and key not in present]:
            del self._known[key]
        return version

    async def _watch(self, scope: str | None, name: str, version: str) -> None:
        fields = f"metadata.name={name}"
        async for kind, raw in self._client.watch(NETWORK_POLICIES, scope, fields=fields, version=version):
            key = _key(raw)
            if kind != "DELETED":
                self._note(raw)
            elif key in self._known and self._known[key].uid == raw["metadata"]["uid"]:
                del self._known[key]
            self._queue.add(key[0])

    def _note(self, raw: Manifest) -> Key:
        """Store the present state of a policy; ignore events that are older than the stored one."""
        key, metadata = _key(raw), raw["metadata"]
        known, version = self._known.get(key), int(metadata["resourceVersion"])
        if known is None or known.uid != metadata["uid"] or known.version <= version:
            self._known[key] = _Policy(metadata["uid"], version, raw["spec"], metadata.get("labels") or {})
        return key


def _key(raw: Manifest) -> Key:
    return raw["metadata"]["namespace"], raw["metadata"]["name"]


def _refusal(name: str, error: Refused) -> PolicyRefused:
    return PolicyRefused(error.code, f"{name}: {error.message}", request="apply", retry_after=error.retry_after)
