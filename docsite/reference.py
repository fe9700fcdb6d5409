"""The API reference: one page for each kind, from the CRDs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from compressionjob.crd import definitions
from compressionjob.examples import flow

Schema = Mapping[str, Any]

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference"
NOTE: Final = "<!-- Generated from the CRDs by `make generate`: change operator/compressionjob instead. -->"
PARTS: Final = ("spec", "status")


def files() -> dict[Path, str]:
    """Return the text of each page by its path: one for each kind, and the list of them."""
    kinds = {crd["spec"]["names"]["kind"]: crd["spec"] for crd in definitions().values()}
    named = {f"{kind.lower()}.md": _page(kind, spec) for kind, spec in kinds.items()}
    return {FOLDER / name: text for name, text in {"README.md": _index(kinds), **named}.items()}


def _index(kinds: Mapping[str, Schema]) -> str:
    rows = [
        f"| [{kind}]({kind.lower()}.md) | `{spec['names']['shortNames'][0]}` | {spec['scope'].lower()} "
        f"| {_cell(_schema(spec)['description'])} |"
        for kind, spec in kinds.items()
    ]
    lines = [
        NOTE,
        "",
        "# API reference",
        "",
        "`kubectl explain cpj.spec --recursive` shows the same fields.",
        "",
        "| kind | short name | scope | |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _page(kind: str, spec: Schema) -> str:
    schema = _schema(spec)
    version = f"{spec['group']}/{spec['versions'][0]['name']}"
    lines = [NOTE, "", f"# {kind}", "", schema["description"], "", f"`apiVersion: {version}`, `kind: {kind}`"]
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
    """Return what a list or a map holds, with its path; other fields as they are."""
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
        f"| `{name}`{' *' if name in required else ''} | {_type(field)} | {_cell(field.get('description', ''))} |"
        for name, field in node["properties"].items()
    ]
    starred = [r"\* required", ""] if required else []
    table = ["| field | type | |", "|---|---|---|", *rows]
    return [f"## {title}", "", *starred, *table, *_rules(node)]


def _rules(node: Schema) -> list[str]:
    """Return what the API server checks beyond types, as the messages that it gives."""
    messages = dict.fromkeys(rule["message"] for rule in node.get("x-kubernetes-validations", ()) if "message" in rule)
    stated = [text for text in messages if not text.endswith("delete the job and create another")]
    return ["", "Rules:", "", *(f"- {_cell(text)}" for text in stated)] if stated else []


def _type(field: Schema) -> str:
    if "items" in field:
        return f"list of {_type(field['items'])}"
    if isinstance(field.get("additionalProperties"), dict):
        return f"map to {_type(field['additionalProperties'])}"
    if "enum" in field:
        return ", ".join(f"`{flow(value)}`" for value in field["enum"])
    if "x-kubernetes-int-or-string" in field:
        return "number, or number as text"
    return str(field.get("type", "any")) + _bounds(field)


def _bounds(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", at least {low}" if low is not None else f", at most {high}" if high is not None else ""


def _cell(text: str) -> str:
    """Return a text as it may stand in a cell of a table: placeholders are no HTML."""
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")
