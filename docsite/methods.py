"""Tables in the pages of the methods: parameters, data and promises from the contract, and the examples that use each.

A page has a block for each table: ``<!-- docsite: TABLE CLASS -->``, the table, and ``<!-- /docsite -->``.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from compressionjob.crd_schema import structural
from compressionjob.examples import flow_style, with_examples
from compressionjob.field_types import Schema
from compressionjob.methods import quantize
from compressionjob.methods.distill import Distill
from compressionjob.methods.factorize import Factorize
from compressionjob.methods.pack import Pack
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.predicate import AllOf, AnyOf, IsSet, OneOf, Predicate
from compressionjob.methods.prune import Prune
from compressionjob.methods.recover import Recover
from compressionjob.methods.training import Training
from compressionjob.spec import parse_job
from docsite.cells import cell, type_words

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "docs" / "methods"
BLOCK: Final = re.compile(r"(<!-- docsite: (\w+) (\w+) -->\n).*?(<!-- /docsite -->)", re.DOTALL)
METHODS: Final[tuple[type[Parameters], ...]] = (Prune, Factorize, Distill, Recover, Pack, *quantize.METHODS)
CLASSES: Final = {kind.__name__: kind for kind in METHODS}
PARTS: Final[Mapping[str, type[Schema]]] = {"Training": Training}
"""Fields of several methods that one page lists for all of them."""
SAMPLES: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "Prune": (
        {"sparsity": "0.5"},
        {"sparsity": "0.7"},
        {"method": "structured", "structure": "heads", "sparsity": "0.5"},
    ),
    "Factorize": ({"budget": "0.9"}, {"energy": "0.95"}),
    "WeightOnly": (
        *({"dtype": name} for name in ("int8", "int4", "int3", "int2")),
        {"dtype": "mixed", "budget": "0.2"},
    ),
    "Static": ({"dtype": "int8"}, {"dtype": "float8"}),
    "Cast": ({"dtype": "float16"}, {"dtype": "bfloat16"}),
    "Vllm": ({"backend": "vllm", "dtype": "int8"}, {"backend": "vllm", "dtype": "int4"}),
    "VllmInt8": ({"backend": "vllm"},),
    "LlmCompressor": ({"backend": "llm-compressor", "dtype": "int8"}, {"backend": "llm-compressor", "dtype": "int4"}),
    "ModelOpt": ({"backend": "modelopt", "dtype": "float8", "granularity": "tensor"},),
}
"""Parameters whose promises are listed, for methods whose promise depends on them or that have required fields."""
ELSEWHERE: Final = {"training": "distill.md#training"}
"""Where the fields of such a field are listed."""
OBVIOUS: Final = re.compile(r" Example: [^ ]+\.$")


def files() -> dict[Path, str]:
    """Return the text of each page by its path."""
    return {page: render(page) for page in sorted(FOLDER.rglob("*.md")) if BLOCK.search(page.read_text())}


def render(page: Path) -> str:
    """Return the text of a page with its blocks made anew."""

    def block(match: re.Match[str]) -> str:
        table, name = match[2], match[3]
        if table == "parameters":
            lines = parameters({**CLASSES, **PARTS}[name], page)
        else:
            lines = TABLES[table](CLASSES[name], page)
        return match[1] + "\n".join(lines) + f"\n{match[4]}"

    return BLOCK.sub(block, page.read_text())


def parameters(kind: type[Schema], page: Path) -> Iterator[str]:
    """Yield the table of an object's fields, and the rules between them."""
    schema = with_examples(structural(kind), ("spec", "pipeline", page.stem))
    yield from ("", "| parameter | values | description |", "|---|---|---|")
    yield from _fields(schema, "", page)
    rules = dict.fromkeys([*(rule.text for rule in getattr(kind, "rules", ())), *_messages(schema)])
    yield from ("", "Rules:", "", *(f"- {cell(text)}" for text in rules), "") if rules else ("",)


def _fields(schema: Mapping[str, Any], prefix: str, page: Path) -> Iterator[str]:
    required = () if prefix else schema.get("required", ())
    for name, field in schema["properties"].items():
        start = f"| `{prefix}{name}`{' (required)' if name in required else ''} |"
        if name in ELSEWHERE:
            target = posixpath.relpath(str(FOLDER / ELSEWHERE[name]), str(page.parent))
            yield f"{start} [its fields]({target}) | {cell(field['description'].partition(' Example')[0])} |"
        elif "properties" in field:
            yield from _fields(field, f"{prefix}{name}.", page)
        elif name != "method" or len(field["enum"]) > 1:
            yield f"{start} {type_words(field)} | {cell(_description(field))} |"


def _description(field: Mapping[str, Any]) -> str:
    """Return a field's description, without an example where its values are listed beside it."""
    text = str(field["description"])
    return OBVIOUS.sub("", text) if "enum" in field or field.get("type") == "boolean" else text


def _messages(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the API server says of an object, and of the objects within it that are listed here."""
    yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
    for name, field in schema["properties"].items():
        if "properties" in field and name not in ELSEWHERE:
            yield from _messages(field)


def promises(kind: type[Parameters], _page: Path) -> Iterator[str]:
    """Yield the data that a method needs, and its promises: bounds whose breach the condition AsPromised reports."""
    yield from ("", f"Data in addition to the evaluation data: {_data(kind)}.", "")
    yield "| promised with | size, at most | speed, at least | lost quality, at most |"
    yield "|---|---|---|---|"
    for sample in SAMPLES.get(kind.__name__, ({},)):
        promise = kind.model_validate(sample).promise()
        shown = {name: value for name, value in sample.items() if name != "backend"}
        words = ", ".join(f"`{name}: {flow_style(value)}`" for name, value in shown.items()) or "any parameters"
        yield (
            f"| {words} | {_bound(promise.max_size_ratio)} | {_bound(promise.min_speedup, 'x')} "
            f"| {_bound(promise.max_quality_drop)} |"
        )
    yield ""


def _bound(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:.4g}{unit}"


def _data(kind: type[Parameters]) -> str:
    texts = [
        f"{role} data{words}"
        for role, condition in (("calibration", kind.observes), ("training", kind.trains))
        if (words := _words(condition)) is not None
    ]
    return ", ".join(texts) or "none"


def _words(condition: Predicate) -> str | None:
    """Return when data is needed: "" for always, None for never."""
    if isinstance(condition, AllOf) and not condition.conditions:
        return ""
    if isinstance(condition, OneOf):
        values = " or ".join(f"`{flow_style(value)}`" for value in condition.values)
        return f" with `{condition.field}` {values}"
    if isinstance(condition, IsSet):
        return f" with `{condition.field}`"
    if isinstance(condition, AnyOf):
        parts = [_words(one) for one in condition.conditions]
        return " or".join(part for part in parts if part) or None
    raise TypeError(f"no words for {condition}")


def examples(kind: type[Parameters], page: Path) -> Iterator[str]:
    """Yield the list of the example manifests that use a method."""
    links = []
    for file in sorted([*(ROOT / "examples").glob("*.yaml"), *(ROOT / "examples" / "local").glob("*.yaml")]):
        if kind in {type(stage.parameters.chosen()) for stage in _stages(file)}:
            target = posixpath.relpath(str(file), str(page.parent))
            links.append(f"[{file.stem}]({target})")
    yield from ("", f"{', '.join(links)}.", "")


def _stages(file: Path) -> Iterator[Any]:
    for manifest in yaml.safe_load_all(file.read_text()):
        if manifest["kind"] == "CompressionJob":
            yield from parse_job(manifest).spec.pipeline


TABLES: Final[Mapping[str, Callable[[type[Parameters], Path], Iterator[str]]]] = {
    "promises": promises,
    "examples": examples,
}
