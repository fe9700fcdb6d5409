"""Class names of a model: from both maps of its configuration, with an error if they contradict."""

import json
from pathlib import Path
from typing import Any

import pytest

from compression_runner.dataset.labels import class_numbers, names_of
from compression_runner.errors import InvalidInput
from compression_runner.formats.source.inspection import inspect
from compressionjob.spec import Model
from tests.support.plans import open_store
from tests.support.text_families import text_model

NAMES = {"0": "NO", "1": "MAYBE", "2": "YES"}
DEFAULT = {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}


@pytest.mark.parametrize(
    ("config", "labels", "numbers"),
    [
        ({"id2label": NAMES}, ["YES", "NO", "MAYBE"], [2, 0, 1]),
        ({"id2label": NAMES, "label2id": DEFAULT}, ["YES", "LABEL_2", "2", 2, 2.0], [2, 2, 2, 2, 2]),
        ({"id2label": NAMES, "label2id": {"NO": 0, "MAYBE": 1, "YES": 2}}, ["YES", "LABEL_0"], [2, 0]),
        ({"label2id": {"NO": 0, "YES": 1}}, ["YES", "LABEL_0", 1], [1, 0, 1]),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"b": 1, "a": 0}}, ["b", "LABEL_0"], [1, 0]),
        ({"id2label": ["NO", "YES"]}, ["YES"], [1]),
        ({"id2label": {"0": "5", "1": "6"}}, ["5", "6"], [0, 1]),
        (
            {"id2label": {"0": "crane", "1": "ox", "2": "crane"}, "label2id": {"crane": 2, "ox": 1}},
            ["crane", 0],
            [2, 0],
        ),
    ],
)
def test_both_maps_name_the_classes(config: dict[str, Any], labels: list[object], numbers: list[int]) -> None:
    assert class_numbers(labels, names_of(config)).tolist() == numbers


def plan_source(folder: Path) -> None:
    """Inspect a classifier like the command `plan`."""
    inspect(open_store(folder), Model(source=f"file://{folder}", task="text-classification"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"id2label": NAMES, "label2id": {"NO": 2, "MAYBE": 1, "YES": 0}}, "id2label says that 0 is NO, and label2id"),
        ({"id2label": {"none": "NO", "1": "YES"}}, "'none' in place of a class number"),
        ({"label2id": {"NO": "x", "YES": 1}}, "'x' in place of a class number"),
        ({"id2label": "NO"}, "not a map of names and numbers"),
    ],
)
def test_contradictory_maps_are_refused(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    folder = text_model(tmp_path / "model", "bert", "text-classification")
    plan_source(folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"id2label": {}, "label2id": {}} | config))
    with pytest.raises(InvalidInput, match=message) as caught:
        plan_source(folder)
    assert caught.value.value == "config.json"


@pytest.mark.parametrize("label", ["PERHAPS", "LABEL_3", 3, -1, "3"])
def test_an_unknown_label_is_refused_with_the_known_names(label: object) -> None:
    with pytest.raises(InvalidInput, match=r"0 \(NO\), 1 \(MAYBE\), 2 \(YES\)"):
        class_numbers([label], names_of({"id2label": NAMES, "label2id": DEFAULT}))
