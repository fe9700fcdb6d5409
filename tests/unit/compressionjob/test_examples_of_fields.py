"""`kubectl explain` states the default and an example of each field; every example is valid."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from compressionjob.crd import definitions
from compressionjob.examples import EXAMPLES, example_of, flow_style
from compressionjob.hints import fields_of, model_at
from compressionjob.review import CompressionReviewSpec
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import CompressionJobSpec
from compressionjob.stores import CompressionStoreSpec

MODELS = {
    "compressionjobs.yaml": CompressionJobSpec,
    "compressionruntimes.yaml": CompressionRuntimeSpec,
    "compressionreviews.yaml": CompressionReviewSpec,
    "compressionstores.yaml": CompressionStoreSpec,
}


def fields(schema: Mapping[str, Any], path: tuple[str, ...] = ("spec",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, field in schema.get("properties", {}).items():
        yield (*path, name), field
        yield from fields(field, (*path, name))
        yield from fields(field.get("items", {}), (*path, name))


@pytest.mark.parametrize("name", MODELS)
def test_every_field_has_an_example_and_its_default(name: str) -> None:
    (version,) = definitions()[name]["spec"]["versions"]
    described = dict(fields(version["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    assert described
    for path, field in described.items():
        text = field["description"]
        assert "Example: " in text or text.rstrip(".").endswith(f": {flow_style(example_of(path))}"), path
        if field.get("default") not in (None, {}, []):
            assert "Default: " in text, path


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_has_a_description(name: str, part: str) -> None:
    (version,) = definitions()[name]["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"].get(part, {})
    assert [".".join(path) for path, field in fields(schema, (part,)) if not field.get("description")] == []


@pytest.mark.parametrize("name", MODELS)
def test_every_example_is_valid(name: str) -> None:
    (version,) = definitions()[name]["spec"]["versions"]
    for path, field in fields(version["schema"]["openAPIV3Schema"]["properties"]["spec"]):
        example = yaml.safe_load(field["description"].partition("Example: ")[2].rstrip(".") or "null")
        given = example_of(path) if example is None else example
        parent: type[BaseModel] | None = model_at(MODELS[name], path[1:-1])
        info = fields_of(parent)[path[-1]]
        adapter = TypeAdapter(Annotated[(info.annotation, *info.metadata, "")])
        adapter.validate_python(given)


def test_every_example_of_the_table_is_used() -> None:
    used = set()
    for name in MODELS:
        (version,) = definitions()[name]["spec"]["versions"]
        for path, _ in fields(version["schema"]["openAPIV3Schema"]["properties"]["spec"]):
            used |= {path[-1], ".".join(path[-2:])}
    assert set(EXAMPLES) - used <= {"metadata", "metadata.name"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": "0.5", "b": [1, True]}, '{a: "0.5", b: [1, true]}'),
        ("yes", '"yes"'),
        ("s3://a/b", "s3://a/b"),
        ("30Mi", '"30Mi"'),
        ("2:4", '"2:4"'),
    ],
)
def test_values_are_written_as_yaml_reads_them(value: object, text: str) -> None:
    assert flow_style(value) == text
    assert yaml.safe_load(f"x: {text}") == {"x": value}
