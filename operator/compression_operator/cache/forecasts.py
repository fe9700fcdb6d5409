"""When running pods expect to be done, on the operator's own clock: a pod tells how long it will still take."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from compressionjob.report import Progress

SMALL: Final = timedelta(seconds=30)
SMALL_SHARE: Final = 0.1
"""A forecast that moves by less than this, in all and as a share of what is left, is no news."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a pod told last; ``told`` is when."""

    pod: str
    told: datetime
    finish: datetime


def told(progress: Progress, pod: str, now: datetime) -> tuple[Progress, Forecast | None]:
    """Part a pod's answer: its progress, which changes when the pod gets on, and its forecast, which always does."""
    remaining = progress.remaining
    if remaining is None:
        return progress, None
    forecast = Forecast(pod, now, now + timedelta(seconds=remaining.seconds))
    return progress.model_copy(update={"remaining": None}), forecast


def differs(old: Forecast | None, new: Forecast | None) -> bool:
    """Whether the new forecast is worth a look at the job."""
    if old is None or new is None:
        return old is not new
    return old.pod != new.pod or abs(new.finish - old.finish) > max(SMALL, SMALL_SHARE * (new.finish - new.told))
