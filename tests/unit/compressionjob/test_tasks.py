"""The metrics of each task."""

from typing import get_args

from compressionjob.objectives import ERROR_METRICS, QualityMetric
from compressionjob.tasks import TASKS, Task, default_metric


def test_every_task_has_a_default_metric_that_it_is_measured_by() -> None:
    assert set(TASKS) == set(get_args(Task))
    for task, traits in TASKS.items():
        assert {default_metric(task, has_labels=labels) for labels in (True, False)} == set(traits.defaults)
        assert len(set(traits.metrics)) == len(traits.metrics)
        assert set(traits.metrics) <= set(get_args(QualityMetric))
    assert set(get_args(QualityMetric)) > ERROR_METRICS
