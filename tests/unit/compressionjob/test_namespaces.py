"""Namespaces that may use an object. Label selectors work as in Kubernetes."""

from typing import Any

import pytest
from pydantic import ValidationError

from compressionjob.namespaces import AllowedNamespaces

LABELS = {"tenant": "ml", "stage": "prod"}


def allowed(**spec: Any) -> AllowedNamespaces:
    return AllowedNamespaces.model_validate(spec)


def expression(operator: str, *values: str, key: str = "tenant") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({}, True),
        ({"matchLabels": {"tenant": "ml"}}, True),
        ({"matchLabels": {"tenant": "ml", "stage": "test"}}, False),
        ({"matchLabels": {"other": ""}}, False),
        (expression("In", "search", "ml"), True),
        (expression("In", "search"), False),
        (expression("In", "search", key="other"), False),
        (expression("NotIn", "search"), True),
        (expression("NotIn", "ml"), False),
        (expression("NotIn", "ml", key="other"), True),
        (expression("Exists"), True),
        (expression("Exists", key="other"), False),
        (expression("DoesNotExist"), False),
        (expression("DoesNotExist", key="other"), True),
        ({"matchLabels": {"stage": "prod"}} | expression("NotIn", "ml"), False),
    ],
)
def test_a_selector_matches_as_in_kubernetes(selector: dict[str, Any], matches: bool) -> None:
    assert allowed(selector=selector).allows("team-a", LABELS) is matches


def test_a_named_namespace_is_allowed_whatever_its_labels() -> None:
    both = allowed(names=["team-a"], selector={"matchLabels": {"tenant": "ml"}})
    assert both.allows("team-a", None)
    assert both.allows("team-b", LABELS)
    assert not both.allows("team-b", {})
    assert not both.allows("team-b", None)  # its labels are unknown
    assert not allowed(names=["team-a"]).allows("team-b", LABELS)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "name at least one namespace"),
        ({"selector": expression("In")}, "In and NotIn need values"),
        ({"selector": expression("Exists", "ml")}, "Exists and DoesNotExist take none"),
    ],
)
def test_selectors_without_effect_are_refused(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        allowed(**spec)
