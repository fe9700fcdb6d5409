"""The check of `helm test`: the operator is ready, the API has its kinds, and the operator cannot read secrets."""

# ruff: noqa: T201 - what the pod prints is what `helm test --logs` shows

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
GROUP = "/apis/compression-operator.io/v1alpha1"
NAMESPACE = os.environ["CHECK_NAMESPACE"]


def api(path: str) -> tuple[int, dict]:
    """Send a GET as the operator's service account; return status and body."""
    token = (ACCOUNT / "token").read_text()
    request = urllib.request.Request(API + path, headers={"Authorization": f"Bearer {token}"})
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ready() -> str:
    """Wait up to a minute until the operator is ready; return the result as text.

    With secure metrics, the Service's port needs a token. The Service has only ready endpoints.
    """
    secure = os.environ["CHECK_SECURE"] == "true"
    scheme, path = ("https", "metrics") if secure else ("http", "readyz")
    url = f"{scheme}://{os.environ['CHECK_HOST']}:{os.environ['CHECK_PORT']}/{path}"
    context = ssl._create_unverified_context() if secure else None  # an IP address is not in the certificate
    for _ in range(30):
        try:
            with urllib.request.urlopen(url, timeout=5, context=context) as response:
                if secure:
                    sys.exit(f"{url}: {response.status} without a token; it must be 401")
                return f"{url}: {response.status}"
        except urllib.error.HTTPError as error:
            if secure and error.code == 401:
                return f"{url}: 401 without a token, as it should be"
            last = error
            time.sleep(2)
        except OSError as error:
            last = error
            time.sleep(2)
    sys.exit(f"{url}: {last}; see the operator's logs")


def main() -> None:
    """Run all checks; the first failure ends the pod with its reason."""
    print(ready())
    status, body = api(GROUP)
    kinds = {resource["kind"] for resource in body.get("resources", [])}
    if not {"CompressionJob", "CompressionReview", "CompressionRuntime", "CompressionStore"} <= kinds:
        sys.exit(f"{GROUP}: {status}, kinds {sorted(kinds)}; install the CRDs (crds.install)")
    print(f"{GROUP}: {', '.join(sorted(kinds))}")
    for path in (f"{GROUP}/compressionruntimes", f"{GROUP}/namespaces/{NAMESPACE}/compressionjobs"):
        status, body = api(path)
        if status != 200:
            sys.exit(f"{path}: {status} {body.get('message')}; check rbac.create")
        print(f"{path}: {len(body['items'])} objects")
    status, _ = api(f"/api/v1/namespaces/{NAMESPACE}/secrets")
    if status != 403:
        sys.exit(f"secrets in {NAMESPACE}: {status}; the operator must not be able to read them")
    print("secrets: forbidden, as it should be")


main()
