"""The chart's own test, in a pod."""

from demo.installation import RELEASE, SYSTEM_NAMESPACE
from localcluster import tools
from localcluster.command import run
from localcluster.kubectl import Kubectl


def test_helm_test_finds_the_operator_ready_and_secrets_out_of_reach(kubectl: Kubectl) -> None:
    output = run(
        [
            tools.helm(), "test", RELEASE, "--logs", "--timeout=2m",
            f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={SYSTEM_NAMESPACE}",
        ],
    )  # fmt: skip
    assert "CompressionJob, CompressionReview, CompressionRuntime" in output
    assert "secrets: forbidden" in output
