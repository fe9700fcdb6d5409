"""NetworkPolicies of an API server in memory: applied, watched and deleted, with the versions of a real one."""

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any

from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import Refused
from compression_operator.cluster.resources import Resource

Key = tuple[str, str]


class PolicyServer(Client):
    """A client of a server with only NetworkPolicies; ``refusal`` is its response to changes."""

    def __init__(self) -> None:
        self._versions, self._uids = itertools.count(1), itertools.count(1)
        self._watchers: list[tuple[str | None, str, asyncio.Queue[tuple[str, dict[str, Any]] | Exception]]] = []
        self.stored: dict[Key, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.refusal: Refused | None = None

    def edit(self, key: Key, **spec: Any) -> None:
        """Change a policy as another user would."""
        self.stored[key]["spec"] |= spec
        self._announce("MODIFIED", key)

    def remove(self, key: Key) -> None:
        """Delete a policy as another user would."""
        self._announce("DELETED", key, self.stored.pop(key))

    def forget_quietly(self, key: Key) -> None:
        """Delete a policy while no watch reports it."""
        del self.stored[key]

    def end_watches(self, error: Exception) -> None:
        """Let all watches end with an error."""
        for *_, queue in self._watchers:
            queue.put_nowait(error)
        self._watchers.clear()

    async def apply(self, resource: Resource, namespace: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Take a policy, with the defaults that an API server adds."""
        key = namespace, manifest["metadata"]["name"]
        self.calls.append(f"apply {'/'.join(key)}")
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        before = self.stored.get(key)
        spec = copy.deepcopy(dict(manifest["spec"])) | {"defaulted": True}
        if before is None:
            metadata = {**copy.deepcopy(manifest["metadata"]), "uid": f"uid-{next(self._uids)}"}
            self.stored[key] = {"metadata": metadata, "spec": spec}
            self._announce("ADDED", key)
        elif before["spec"] != spec:
            before["spec"] = spec
            self._announce("MODIFIED", key)
        return copy.deepcopy(self.stored[key])

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Delete a policy."""
        self.calls.append(f"delete {namespace}/{name}")
        assert self.stored[namespace, name]["metadata"]["uid"] == uid
        self.remove((namespace, name))

    async def pages(
        self, resource: Resource, namespace: str | None, *, selector: str = "", fields: str = "",
        metadata_only: bool = False, wait_when_busy: bool = False,
    ) -> AsyncIterator[dict[str, Any]]:  # fmt: skip
        """All policies of a name."""
        items = [copy.deepcopy(it) for key, it in self.stored.items() if _chosen(key, namespace, fields)]
        yield {"items": items, "metadata": {"resourceVersion": str(next(self._versions))}}

    async def watch(
        self, resource: Resource, namespace: str | None, *, fields: str, version: str
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """What happens to policies of a name."""
        queue: asyncio.Queue[tuple[str, dict[str, Any]] | Exception] = asyncio.Queue()
        self._watchers.append((namespace, fields, queue))
        while True:
            event = await queue.get()
            if isinstance(event, Exception):
                raise event
            yield event

    def _announce(self, kind: str, key: Key, raw: dict[str, Any] | None = None) -> None:
        raw = raw or self.stored[key]
        raw["metadata"]["resourceVersion"] = str(next(self._versions))
        for namespace, fields, queue in self._watchers:
            if _chosen(key, namespace, fields):
                queue.put_nowait((kind, copy.deepcopy(raw)))


def _chosen(key: Key, namespace: str | None, fields: str) -> bool:
    return namespace in (None, key[0]) and fields == f"metadata.name={key[1]}"
