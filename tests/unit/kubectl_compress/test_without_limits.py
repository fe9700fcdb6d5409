"""A job without limits: submit warns about it, and it is not displayed as judged."""

from pathlib import Path

import pytest
import yaml

from compressionjob.verdict import NO_LIMITS_WARNING
from kubectl_compress.cluster import Cluster
from kubectl_compress.commands.submit import submit
from kubectl_compress.display.detail import job_detail
from kubectl_compress.errors import Forbidden
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.kubectl import Kubectl
from kubectl_compress.options import parser
from tests.support import manifests
from tests.support.screens import NOW, condition, drawn, job, judged, notes_of, terminal, text_of


class Echo(Kubectl):
    """An API server that accepts all objects, and forbids reading runtimes."""

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        if arguments[0] == "get":
            raise Forbidden("compressionruntimes")
        assert arguments[0] == "create"
        return stdin or ""


@pytest.mark.parametrize(("sla", "warned"), [({}, True), ({"size": {"maxRatio": "0.5"}}, False)])
def test_submit_warns_of_a_job_without_limits_and_creates_it(
    sla: dict[str, object], warned: bool, tmp_path: Path
) -> None:
    place = tmp_path / "job.yaml"
    place.write_text(yaml.safe_dump(manifests.job(**{"spec.sla": sla})))
    screen = terminal()
    given = parser("0").parse_args(["submit", str(place)])
    assert submit(given, Cluster(Echo(namespace_flag="default")), screen) is ExitCode.DONE
    assert "created" in text_of(screen)
    assert (f"warning: minilm-int8: {NO_LIMITS_WARNING}" in notes_of(screen)) is warned


def test_the_detail_does_not_call_it_inconclusive() -> None:
    reported = condition("SLASatisfied", "Unknown", "NoLimits", "the job sets no limits, so nothing was judged")
    text = drawn(job_detail(job(status=judged("NoLimits", objectives=[], conditions=[reported])), NOW))
    assert "minilm-int8  Succeeded  NoLimits" in text
    assert "? not judged: the job sets no limits, so nothing was judged" in text
    assert "Inconclusive" not in text
