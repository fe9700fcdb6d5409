"""Files of the repository that a page shows: what the reader copies is what a test runs.

A page has a line ``<!-- docsite: file PATH -->``, the file in a code block, and a line ``<!-- /docsite -->``. Imports
from the tests are shown as the reader writes them.
"""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
BLOCK: Final = re.compile(r"(<!-- docsite: file (\S+) -->\n).*?(<!-- /docsite -->)", re.DOTALL)
PAGES: Final = ("docs/adding-a-method.md",)
LANGUAGES: Final = {".py": "python", ".yaml": "yaml"}
IMPORTS: Final = {"from tests.support.new_method.parameters import": "from compressionjob.methods.quantize import"}
"""Import in a file of the tests -> the same in the file that the reader writes."""


def files() -> dict[Path, str]:
    """Return the text of each page by its path."""
    return {ROOT / page: render((ROOT / page).read_text()) for page in PAGES}


def render(text: str) -> str:
    """Return the text of a page with the files as they are now."""

    def block(match: re.Match[str]) -> str:
        file = ROOT / match[2]
        content = file.read_text()
        for ours, readers in IMPORTS.items():
            content = content.replace(ours, readers)
        return f"{match[1]}\n```{LANGUAGES[file.suffix]}\n{content}```\n\n{match[3]}"

    return BLOCK.sub(block, text)
