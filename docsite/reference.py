"""The API reference: a page for each kind, generated from the CRDs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from compressionjob.crd import definitions
from docsite.cells import cell, type_words

Schema = Mapping[str, Any]

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference"
NOTE: Final = "<!-- Generated from the CRDs by `make generate`: change operator/compressionjob instead. -->"
PARTS: Final = ("spec", "status")


def files() -> dict[Path, str]:
    """Return the text of each page by its path: one for each kind, and the index."""
    kinds = {crd["spec"]["names"]["kind"]: crd["spec"] for crd in definitions().values()}
    named = {f"{kind.lower()}.md": _page(kind, spec) for kind, spec in kinds.items()}
    return {FOLDER / name: text for name, text in {"README.md": _index(kinds), **named}.items()}


def _index(kinds: Mapping[str, Schema]) -> str:
    rows = [
        f"| [{kind}]({kind.lower()}.md) | `{spec['names']['shortNames'][0]}` | {spec['scope'].lower()} "
        f"| {cell(_schema(spec)['description'])} |"
        for kind, spec in kinds.items()
    ]
    lines = [
        "# API reference",
        "",
        NOTE,
        "",
        "Look up each field of each kind: its type, its default, an example, and the rules that the API server checks.",
        "`kubectl explain cpj.spec --recursive` shows the same fields.",
        "",
        'Write a decimal in quotes (`"0.01"`), because the API server accepts no numbers with a decimal point. '
        "A whole number needs no quotes. Write a duration as `90s` or `1h30m`, and a quantity as `400Mi`.",
        "",
        "| kind | short name | scope | description |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _page(kind: str, spec: Schema) -> str:
    schema = _schema(spec)
    version = f"{spec['group']}/{spec['versions'][0]['name']}"
    lines = [f"# {kind}", "", NOTE, "", schema["description"], "", f"`apiVersion: {version}`, `kind: {kind}`"]
    for part in PARTS:
        if part in schema["properties"]:
            for path, node in _objects((part,), schema["properties"][part]):
                lines += ["", *_section(path, node)]
    return "\n".join(lines) + "\n"


def _schema(spec: Schema) -> Schema:
    schema: Schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _objects(path: tuple[str, ...], node: Schema) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Yield an object and every object within it, depth first."""
    node, path = _item(node, path)
    if "properties" not in node:
        return
    yield path, node
    for name, field in node["properties"].items():
        yield from _objects((*path, name), field)


def _item(node: Schema, path: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
    """Return the schema of the items of a list or a map, with its path; other fields unchanged."""
    inner, suffix = node, ""
    while True:
        if "items" in inner:
            inner, suffix = inner["items"], f"{suffix}[]"
        elif isinstance(inner.get("additionalProperties"), dict):
            inner, suffix = inner["additionalProperties"], f"{suffix}.*"
        else:
            return inner, (*path[:-1], path[-1] + suffix)


def _section(path: Sequence[str], node: Schema) -> list[str]:
    title = ".".join(path)
    required = set(node.get("required", ()))
    rows = [
        f"| `{name}`{' *' if name in required else ''} | {type_words(field)} | {cell(field.get('description', ''))} |"
        for name, field in node["properties"].items()
    ]
    starred = [r"\* required", ""] if required else []
    table = ["| field | type | description |", "|---|---|---|", *rows]
    return [f"## {title}", "", *starred, *table, *_rules(node)]


def _rules(node: Schema) -> list[str]:
    """Return the rules that the API server checks beyond types, as their messages."""
    messages = dict.fromkeys(rule["message"] for rule in node.get("x-kubernetes-validations", ()) if "message" in rule)
    stated = [text for text in messages if not text.endswith("delete the job and create another")]
    return ["", "Rules:", "", *(f"- {cell(text)}" for text in stated)] if stated else []
