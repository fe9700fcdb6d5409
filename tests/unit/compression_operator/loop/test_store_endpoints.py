"""Where the runners of a namespace may connect to while its stores change and jobs go on."""

from typing import Any

import pytest

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS, STORES
from compression_operator.loop.store_endpoints import StoreEndpoints
from compression_operator.network.policies import runner_policies
from compression_operator.network.settings import NetworkSettings
from compressionjob.group import MANAGED_BY, MANAGED_BY_LABEL
from tests.support.network_policies import Endpoint, Network
from tests.support.operator.builders import UID
from tests.support.operator.raw import raw_store, versioned_job

OLD = "http://10.20.0.7:9000"
NEW = "http://10.20.0.8:9000"
AWS = {"name": "team-a"}
RUNNER = Endpoint("10.244.0.20", "default", {MANAGED_BY_LABEL: MANAGED_BY})
OLD_STORE, NEW_STORE = Endpoint("10.20.0.7"), Endpoint("10.20.0.8")
INTERNET = Endpoint("198.51.100.7")


class Namespace:
    """A namespace with one job whose store was at the old address when it began."""

    def __init__(self, connection: dict[str, Any] | None = None, **changes: Any) -> None:
        self.cache = Cache(lambda _: None)
        self.endpoints = StoreEndpoints(self.cache)
        self.stores = [connection or {"name": "team-a", "endpoint": OLD}]
        self.changes = {"spec__storage": {"store": "team-a"}} | changes
        self.version = 1
        self.put_job(phase="Running")

    def put_job(self, **status: Any) -> None:
        self.version += 1
        status = {"part": "Run", "stores": self.stores} | status
        self.cache.put(COMPRESSION_JOBS, versioned_job(self.version, status=status, **self.changes))

    def put_store(self, endpoint: str) -> None:
        self.version += 1
        self.cache.put(STORES, raw_store(version=self.version, endpoint=endpoint))

    def reachable(self, mode: str = "Auto") -> list[Endpoint]:
        settings = NetworkSettings.model_validate(
            {"name": "runners", "operator": {"namespace": "s", "podLabels": {"a": "b"}}, "egress": {"mode": mode}}
        )
        now, begun = self.endpoints.now("default"), self.endpoints.begun("default")
        network = Network(list(runner_policies(settings, "default", now, begun).values()), {"default": {}}, True)
        return [it for it in (OLD_STORE, NEW_STORE, INTERNET) if network.allows(RUNNER, it, 9000)]


@pytest.mark.parametrize("mode", ["Auto", "Restricted"])
def test_a_job_keeps_the_address_that_it_began_with(mode: str) -> None:
    namespace = Namespace()
    namespace.put_store(OLD)
    assert namespace.reachable(mode) == [OLD_STORE]
    namespace.put_store(NEW)
    assert namespace.reachable(mode) == [OLD_STORE, NEW_STORE]
    namespace.put_job(phase="Succeeded")
    assert namespace.reachable(mode) == [NEW_STORE]


def test_a_store_that_is_deleted_does_not_cut_off_a_job() -> None:
    namespace = Namespace()
    assert namespace.reachable("Restricted") == [OLD_STORE]


def test_a_pod_that_removes_files_reaches_its_store() -> None:
    namespace = Namespace()
    namespace.put_store(NEW)
    cleaning = {"checkpoints": "1h", "cleaning": ["checkpoints"]}
    namespace.put_job(phase="Succeeded", part="Run", retention=cleaning)
    assert namespace.reachable() == [OLD_STORE, NEW_STORE]
    namespace.put_job(phase="Succeeded", part="Run", retention={"checkpoints": "1h", "cleaned": ["checkpoints"]})
    assert namespace.reachable() == [NEW_STORE]


def test_a_job_on_a_public_service_keeps_a_namespace_open_until_its_end() -> None:
    namespace = Namespace(AWS)
    namespace.put_store(NEW)
    assert namespace.reachable() == [OLD_STORE, NEW_STORE, INTERNET]
    assert namespace.reachable("Restricted") == [NEW_STORE]
    namespace.put_job(phase="Failed")
    assert namespace.reachable() == [NEW_STORE]


def test_the_first_store_does_not_cut_off_a_job_that_began_without_one() -> None:
    namespace = Namespace(spec__storage={"secretName": "s3", "endpoint": OLD})
    namespace.stores = []
    namespace.put_job(phase="Running")
    namespace.put_store(NEW)
    assert namespace.reachable() == [OLD_STORE, NEW_STORE, INTERNET]
    # An author may not open what Restricted closes.
    assert namespace.reachable("Restricted") == [NEW_STORE]


def test_a_store_without_an_endpoint_opens_nothing_where_a_job_does_not_use_it_for_s3() -> None:
    """Otherwise an author could open a namespace by naming a store of volumes."""
    files = {
        "spec__model__source": "pvc://models/minilm",
        "spec__data__evaluation__source": "pvc://models/rows.jsonl",
        "spec__output__destination": "pvc://models/out",
    }
    namespace = Namespace(AWS, **files)
    namespace.put_store(NEW)
    assert namespace.reachable() == [NEW_STORE]


def test_the_address_of_the_hub_is_kept() -> None:
    hub = {"spec__model__source": "hf://acme/model", "spec__hub": {"store": "team-a"}}
    namespace = Namespace({"name": "team-a", "endpoint": NEW, "hubEndpoint": OLD}, **hub)
    namespace.put_store(NEW)
    assert namespace.reachable() == [OLD_STORE, NEW_STORE]


def test_what_is_known_of_a_job_goes_with_it() -> None:
    namespace = Namespace()
    assert namespace.endpoints.begun("default") == [OLD]
    namespace.cache.drop(COMPRESSION_JOBS, {"uid": UID})
    assert namespace.endpoints.begun("default") == []


def test_a_job_whose_spec_a_later_version_refuses_keeps_the_addresses_of_its_stores() -> None:
    namespace = Namespace(spec__pipeline=[])
    assert namespace.endpoints.begun("default") == [OLD]
