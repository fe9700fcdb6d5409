"""The objectives of an SLA."""

import pytest

from compressionjob.objectives import Sla
from compressionjob.sla_objectives import objectives_of
from compressionjob.verdict import ObjectiveResult, interval_confidence


def test_limits_on_trust_are_objectives_like_others() -> None:
    limits = {
        "fairness": {"minWorst": "0.8", "maxGap": "0.1", "maxGapIncrease": "0.02"},
        "robustness": {
            "noise": {"level": "0.1", "maxDrop": "0.05"},
            "corruption": {"min": "0.6"},
            "attack": {"epsilon": "0.03", "maxDrop": "0.1", "min": "0.4"},
        },
        "attributions": {"minAgreement": "0.8"},
        "flips": {"max": "0.02"},
    }
    sla = Sla.model_validate(limits)
    assert {objective.name: (objective.direction, objective.limit) for objective in objectives_of(sla)} == {
        "fairness.worst": ("at least", 0.8),
        "fairness.gap": ("at most", 0.1),
        "fairness.gap.increase": ("at most", 0.02),
        "robustness.noise.drop": ("at most", 0.05),
        "robustness.corruption.score": ("at least", 0.6),
        "robustness.attack.drop": ("at most", 0.1),
        "robustness.attack.score": ("at least", 0.4),
        "attributions.agreement": ("at least", 0.8),
        "flips": ("at most", 0.02),
    }
    assert interval_confidence(sla) == pytest.approx(1 - 0.05 / 9)


def test_limits_on_served_requests_are_objectives_like_others() -> None:
    limits = {
        "ttft": {"percentile": "p90", "max": "500ms", "maxRatio": "1.2"},
        "interToken": {"max": "30ms"},
        "timePerOutputToken": {"maxRatio": "1.5"},
        "endToEnd": {"max": "4s"},
        "goodput": {"min": "1.8", "minRatio": "0.95"},
        "outputLength": {"minRatio": "0.9", "maxRatio": "1.1"},
    }
    sla = Sla.model_validate(limits)
    assert {item.name: (item.direction, item.limit, item.unit) for item in objectives_of(sla)} == {
        "ttft": ("at most", 0.5, "seconds"),
        "ttft.ratio": ("at most", 1.2, "ratio"),
        "interToken": ("at most", 0.03, "seconds"),
        "timePerOutputToken.ratio": ("at most", 1.5, "ratio"),
        "endToEnd": ("at most", 4.0, "seconds"),
        "goodput": ("at least", 1.8, "requests per second"),
        "goodput.ratio": ("at least", 0.95, "ratio"),
        "outputLength.minRatio": ("at least", 0.9, "ratio"),
        "outputLength.maxRatio": ("at most", 1.1, "ratio"),
    }
    assert interval_confidence(sla) == pytest.approx(1 - 0.05 / 9)
    assert all(ObjectiveResult(name=item.name, unit=item.unit, limit=1, verdict="Pass").is_known
               for item in objectives_of(sla))  # fmt: skip
