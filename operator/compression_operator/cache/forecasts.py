"""Forecasts of running pods: a pod reports its remaining time, and the operator adds it to its own clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from compressionjob.report import Progress

SMALL: Final = timedelta(seconds=30)
SMALL_SHARE: Final = 0.1
"""A forecast that moves by less than this, in total and as a share of the remaining time, is ignored."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The latest forecast of a pod, and the time ``received`` at which it came."""

    pod: str
    received: datetime
    finish: datetime


def split_forecast(progress: Progress, pod: str, now: datetime) -> tuple[Progress, Forecast | None]:
    """Split a pod's response into its progress, which changes when the pod advances, and its forecast."""
    remaining = progress.remaining
    if remaining is None:
        return progress, None
    forecast = Forecast(pod, now, now + timedelta(seconds=remaining.seconds))
    return progress.model_copy(update={"remaining": None}), forecast


def differs(old: Forecast | None, new: Forecast | None) -> bool:
    """Return whether the new forecast is worth a reconcile of the job."""
    if old is None or new is None:
        return old is not new
    return old.pod != new.pod or abs(new.finish - old.finish) > max(SMALL, SMALL_SHARE * (new.finish - new.received))
