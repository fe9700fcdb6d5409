"""Generate parts of the chart: ``python -m charts.generate``, in the repository's root.

In values.schema.json it writes ``definitions.runtime``, ``definitions.reviewRule`` and the events of
``definitions.receiver`` from the package compressionjob. In README.md it writes the table of values from values.yaml
and values.schema.json. The rest of both files is written by hand.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from compressionjob.crd_schema import structural
from compressionjob.notifications import NOTIFICATION_EVENTS
from compressionjob.review_rules import ReviewRule
from compressionjob.runtime import CompressionRuntimeSpec

CHART: Final = Path(__file__).parent / "compression-operator"
BEGIN: Final = "<!-- values: written by `python -m charts.generate` -->\n"
END: Final = "<!-- end of values -->\n"


def runtime_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 7) of a value under ``runtimes``: that of the CRD, without unknown fields."""
    schema: dict[str, Any] = _strict(structural(CompressionRuntimeSpec))
    # The chart has a default image, and renders this field as a template.
    schema["required"] = [name for name in schema.get("required", []) if name != "image"]
    schema["properties"]["image"].pop("pattern", None)
    return schema


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _strict(value) for key, value in node.items() if not key.startswith("x-kubernetes-")}
    if node.get("type") == "object" and "properties" in node:
        result["additionalProperties"] = False
    return result


def values_schema() -> dict[str, Any]:
    """Return values.schema.json with its generated parts updated."""
    schema: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    schema["definitions"]["runtime"] = runtime_schema()
    schema["definitions"]["reviewRule"] = _strict(structural(ReviewRule))
    schema["definitions"]["receiver"]["properties"]["events"]["items"]["enum"] = list(NOTIFICATION_EVENTS)
    return schema


def values_table() -> str:
    """Return the table of values in Markdown: name, default, meaning."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    rows = [f"| `{name}` | `{default}` | {text} |\n" for name, default, text in _rows("", values, values_schema())]
    return "| value | default | meaning |\n| --- | --- | --- |\n" + "".join(rows)


def _rows(prefix: str, values: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for key, value in values.items():
        name, part = f"{prefix}{key}", schema["properties"][key]
        if isinstance(value, dict) and "properties" in part and key != "resources":
            yield from _rows(f"{name}.", value, part)
        elif key == "runtimes":
            yield name, ", ".join(value), part["description"]
        else:
            yield name, json.dumps(value).replace("|", "\\|"), part["description"]


def readme() -> str:
    """Return README.md with its table of values updated."""
    text = (CHART / "README.md").read_text()
    return re.sub(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: BEGIN + values_table() + END, text, flags=re.DOTALL
    )


def files() -> dict[Path, str]:
    """Return the text of each generated file by its path."""
    return {
        CHART / "values.schema.json": json.dumps(values_schema(), indent=2) + "\n",
        CHART / "README.md": readme(),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
