"""Size limits of Kubernetes: a CRD for kubectl apply, and a release that Helm stores."""

import base64
import json

import pytest

from compressionjob.crd import definitions
from localcluster.apiserver import APIServer
from tests.integration.chart.helm_release import Helm
from tests.support.bounds import LAST_APPLIED, MAX_ANNOTATIONS, MAX_SECRET


@pytest.mark.parametrize("name", sorted(definitions()))
def test_a_crd_fits_client_side_apply(server: APIServer, name: str) -> None:
    definition = definitions()[name]
    server.kubectl.run("apply", "--server-side=false", "--filename=-", stdin=json.dumps(definition))
    stored = server.kubectl.read("get", "crd", definition["metadata"]["name"])["metadata"]["annotations"]
    assert len(stored[LAST_APPLIED].encode()) < MAX_ANNOTATIONS - 1024, "leave room for other annotations"


def test_a_release_with_all_options_fits_into_a_secret(server: APIServer, helm: Helm) -> None:
    everything = "dashboard.enabled=true,networkPolicy.enabled=true,podDisruptionBudget.enabled=true"
    helm.install("compression-operator", f"--set={everything}")
    secrets = server.kubectl.read("get", "secrets", "--selector=owner=helm", "--namespace=compression-system")["items"]
    assert secrets
    for secret in secrets:
        size = sum(len(base64.b64decode(value)) for value in secret["data"].values())
        assert size < MAX_SECRET * 0.9, f"{secret['metadata']['name']} has {size} bytes"
