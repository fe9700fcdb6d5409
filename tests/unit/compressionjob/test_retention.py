"""Lifetimes of a job's files, with defaults and limits of runtimes."""

import pytest

from compressionjob.errors import InvalidSpec
from compressionjob.retention import Retention, RetentionStatus, RuntimeRetention, lifetimes, too_long
from compressionjob.runtime import parse_runtime
from compressionjob.spec import parse_job
from tests.support import manifests


def runtime(default: str | None = None, maximum: str | None = None) -> RuntimeRetention:
    return RuntimeRetention(default=Retention(checkpoints=default), maximum=Retention(checkpoints=maximum))


@pytest.mark.parametrize(
    ("wanted", "offered", "expected"),
    [
        (None, runtime(), {}),
        (Retention(), runtime(), {}),
        (Retention(checkpoints="24h"), runtime("1h", "48h"), {"checkpoints": "24h"}),
        (None, runtime("1h", "48h"), {"checkpoints": "1h"}),
        (Retention(reports="2h"), runtime("1h"), {"checkpoints": "1h", "reports": "2h"}),
        (None, runtime(maximum="48h"), {"checkpoints": "48h"}),
    ],
)
def test_the_jobs_own_lifetime_then_the_default_then_the_maximum(
    wanted: Retention | None, offered: RuntimeRetention, expected: dict[str, str]
) -> None:
    assert lifetimes(wanted, offered) == expected


def test_a_lifetime_above_the_maximum_is_refused_with_a_remedy() -> None:
    (problem,) = too_long(Retention(checkpoints="72h", reports="72h"), "cpu", runtime(maximum="48h"))
    assert str(problem) == (
        "spec.retention.checkpoints: '72h' is not valid: the runtime 'cpu' allows at most 48h; write 48h or less, "
        "or leave it out"
    )
    assert not [*too_long(Retention(checkpoints="48h"), "cpu", runtime(maximum="48h"))]
    assert not [*too_long(None, "cpu", runtime(maximum="48h"))]


def test_removed_and_given_up_files_are_not_pending() -> None:
    state = RetentionStatus(checkpoints="1h", reports="2h")
    assert dict(state.pending()) == {"checkpoints": 3600.0, "reports": 7200.0}
    assert dict(state.model_copy(update={"cleaned": ["checkpoints"]}).pending()) == {"reports": 7200.0}
    assert not dict(state.model_copy(update={"given_up": True}).pending())


def test_job_and_runtime_take_lifetimes() -> None:
    job = parse_job(manifests.job(spec__retention={"checkpoints": "168h"}))
    assert job.spec.retention == Retention(checkpoints="168h")
    with pytest.raises(InvalidSpec, match=r"spec\.retention\.checkpoints"):
        parse_job(manifests.job(spec__retention={"checkpoints": "soon"}))
    parsed = parse_runtime(
        {
            "apiVersion": "compression-operator.io/v1alpha1",
            "kind": "CompressionRuntime",
            "metadata": {"name": "cpu"},
            "spec": {"image": "runner:1", "retention": {"maximum": {"reports": "720h"}}},
        }
    )
    assert parsed.spec.retention.maximum.reports == "720h"
