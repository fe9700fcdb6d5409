"""Servers with known times, over HTTP: a run has every objective at every look, with the truth beside it."""

import pytest

from benchmarks.truth import served
from compression_runner.evaluation.serving import serving


@pytest.mark.parametrize("name", served.LOADS)
def test_a_run_has_the_objectives_of_the_truth(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first token takes 4 ms at least; a busy machine may deliver tokens together, so nothing is known of gaps."""
    monkeypatch.setattr(served, "CALIBRATION_REQUESTS", 40)
    monkeypatch.setattr(serving, "FIRST_PAIRS", 2)
    truth = served.truth_of(name)
    assert truth["ttft p90"] > served.FIRST.least
    assert all(value > 0 for objective, value in truth.items() if objective != served.GOODPUT)
    assert (served.GOODPUT in truth) is served.LOADS[name].at_random
    with served.runs_of(name, first_seed=0) as run:
        made = run(truth, 0)
    assert made["queries"] > 0
    for look in (*made["looks"], made["fixed"]):
        assert set(look) == {"seconds", *truth}
        for objective in truth:
            low, value, high = look[objective]
            assert low <= value <= high
