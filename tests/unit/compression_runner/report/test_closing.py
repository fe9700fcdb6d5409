"""The chart of a narrowing interval: positions and clipping."""

import re

import pytest

from compression_runner.report.closing import HEIGHT, WIDTH, Closing, closing
from compressionjob.estimate import UNBOUNDED_RATIO, UNBOUNDED_SECONDS, Estimate
from compressionjob.verdict import LimitVerdict
from tests.support.reports import about, looks, objective


def _picture(
    *history: tuple[float, Estimate],
    limit: float = 1.2,
    unit: str = "ratio",
    decisive: int = -1,
    began: float = 0.0,
    direction: str = "at least",
) -> Closing:
    result = objective("latency.speedup", "Pass", unit=unit, limit=limit, direction=direction)
    listed: list[tuple[float, int, Estimate, LimitVerdict]] = [
        (seconds, 10, estimate, "Pass") for seconds, estimate in history
    ]
    at = decisive % len(history)
    return closing(result, looks("latency.speedup", "queries", listed, began=began), at, unit)


def _inside(picture: Closing) -> bool:
    ends = [end for one in picture.whiskers for end in (one.top, one.bottom, one.value)]
    return all(0.0 <= end <= HEIGHT for end in ends) and all(0.0 <= one.x <= WIDTH for one in picture.whiskers)


def test_the_band_closes_around_the_value() -> None:
    picture = _picture((2.0, about(1.5, 0.5)), (4.0, about(1.5, 0.25)), (6.0, about(1.5, 0.1)))
    widths = [one.bottom - one.top for one in picture.whiskers]
    assert widths[0] > widths[1] > widths[2] > 0
    assert all(one.top < one.value < one.bottom for one in picture.whiskers)
    assert len(re.findall("[ML]", picture.band)) == 6
    assert _inside(picture)


def test_a_single_look_has_a_band_of_its_own() -> None:
    picture = _picture((2.0, about(1.5, 0.1)))
    (one,) = picture.whiskers
    corners = [float(number) for number in re.findall(r"[\d.]+", picture.band)]
    assert min(corners[::2]) < one.x < max(corners[::2]) <= WIDTH
    assert (min(corners[1::2]), max(corners[1::2])) == (one.top, one.bottom)


@pytest.mark.parametrize(("unit", "endless"), [("seconds", UNBOUNDED_SECONDS), ("ratio", UNBOUNDED_RATIO)])
def test_an_unbounded_end_is_clipped_to_the_chart(unit: str, endless: float) -> None:
    wide = Estimate(value=1.5, low=1.0, high=endless)
    picture = _picture((2.0, wide), (4.0, about(1.5, 0.1)), unit=unit)
    assert (picture.whiskers[0].top, picture.whiskers[0].above) == (0.0, True)
    assert not picture.whiskers[1].above
    assert picture.whiskers[1].bottom - picture.whiskers[1].top > 0.05 * HEIGHT, "the last interval is still seen"
    assert _inside(picture)


def test_an_unbounded_last_interval_still_has_a_chart() -> None:
    picture = _picture((2.0, Estimate(value=1.5, low=1.0, high=UNBOUNDED_RATIO)))
    assert picture.whiskers[0].above
    assert picture.whiskers[0].value > 0.0
    assert not any("100,000" in text for _, text in picture.y_ticks)


def test_wide_early_intervals_do_not_flatten_the_last_one() -> None:
    picture = _picture((2.0, about(1.5, 400.0)), (4.0, about(1.5, 0.1)))
    assert (picture.whiskers[0].above, picture.whiskers[0].below) == (True, True)
    assert picture.whiskers[1].bottom - picture.whiskers[1].top > 0.05 * HEIGHT


@pytest.mark.parametrize(("direction", "top"), [("at least", 0.0), ("at most", None)])
def test_the_side_on_which_the_limit_is_kept_is_marked(direction: str, top: float | None) -> None:
    picture = _picture((2.0, about(1.5, 0.1)), direction=direction)
    assert 0 < picture.limit < HEIGHT
    assert picture.kept_top == (picture.limit if top is None else top)
    assert picture.kept_top + picture.kept_height == pytest.approx(HEIGHT if top is None else picture.limit)


def test_seconds_count_from_when_this_figure_was_measured() -> None:
    late = _picture((12.0, about(1.5, 0.2)), (14.0, about(1.5, 0.1)), began=10.0)
    assert [one.x for one in late.whiskers] == [
        one.x for one in _picture((2.0, about(1.5, 0.2)), (4.0, about(1.5, 0.1))).whiskers
    ]


def test_a_wide_range_of_times_is_logarithmic() -> None:
    near = _picture((2.0, about(1.5, 0.2)), (4.0, about(1.5, 0.1)))
    far = _picture((2.0, about(1.5, 0.3)), (20.0, about(1.5, 0.2)), (200.0, about(1.5, 0.1)))
    assert near.x_ticks[0] == (0.0, "0")
    assert near.whiskers[1].x == pytest.approx(2 * near.whiskers[0].x, abs=0.2)
    first, second, third = (one.x for one in far.whiskers)
    assert second - first == pytest.approx(third - second, abs=0.2)
    assert _inside(far)
    assert 2 <= len(far.x_ticks) <= 8


@pytest.mark.parametrize("seconds", [(0.0,), (0.0, 0.0), (0.0, 5e4)])
def test_times_of_0_have_a_position(seconds: tuple[float, ...]) -> None:
    assert _inside(_picture(*((time, about(1.5, 0.1)) for time in seconds)))


def test_exact_figures_have_a_chart() -> None:
    picture = _picture((1.0, Estimate.exact(0.0)), limit=0.0, unit="score", direction="at most")
    assert _inside(picture)
    assert picture.y_ticks


def test_the_label_of_the_mark_stays_in_the_chart() -> None:
    for limit in (1.2, 1.49, 1.51, 40.0, 0.01):
        picture = _picture((1.0, about(1.5, 0.1)), (3.0, about(1.5, 0.01)), limit=limit)
        assert 8.0 <= picture.decisive_text_y <= HEIGHT
        assert 8.0 <= picture.limit_text_y <= HEIGHT + 2.0
