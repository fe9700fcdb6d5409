"""MkDocs hooks: README.md becomes the first page, and links to files outside docs/ point to copies."""

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = "docs"
HOME: Final = "index.md"
FILES: Final = "files"
"""Folder of the copies on the site."""
_LINK: Final = re.compile(r"(\]\()(?![a-z]+:|#)([^)\s#]+)((?:#[^)\s]*)?\))")
_OUTSIDE_PAGES: Final = {"README.md": HOME}


def on_files(files: Files, config: Any) -> Files:
    """Add the first page, and copies of the files outside docs/ that pages link to."""
    files.append(File.generated(config, HOME, content=(ROOT / "README.md").read_text()))
    waiting = {page.src_uri: page.content_string for page in files.documentation_pages()}
    while waiting:
        linked = {name for uri, content in waiting.items() for name in _linked(uri, content)}
        added = {f"{FILES}/{name}": ROOT / name for name in sorted(linked) if f"{FILES}/{name}" not in files.src_uris}
        for uri, path in added.items():
            files.append(File.generated(config, uri, abs_src_path=str(path)))
        # A copied README is a page with links of its own.
        waiting = {uri: path.read_text() for uri, path in added.items() if path.suffix == ".md"}
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Change links to the locations of their targets on the site."""
    source = page.file.src_uri

    def moved(link: re.Match[str]) -> str:
        target = _site_path(_repository_path(source, link[2]))
        return f"{link[1]}{posixpath.relpath(target, posixpath.dirname(source) or '.')}{link[3]}"

    return _LINK.sub(moved, markdown)


def _linked(source: str, text: str) -> set[str]:
    """Return the paths of the files outside docs/ that a page links to."""
    named = {_repository_path(source, link[2]) for link in _LINK.finditer(text)}
    outside = {path for path in named if not _is_page(path) and path not in _OUTSIDE_PAGES}
    return {posixpath.relpath(_file(path), ROOT) for path in outside if _file(path).is_file()}


def _repository_path(source: str, link: str) -> str:
    """Return the path in the repository of the target of a link."""
    copied = source.startswith(f"{FILES}/")
    whole = "README.md" if source == HOME else source.removeprefix(f"{FILES}/") if copied else f"{DOCS}/{source}"
    folder = posixpath.dirname(whole)
    return posixpath.normpath(posixpath.join(folder, link))


def _site_path(path: str) -> str:
    """Return the path on the site of a file in the repository; for a folder that of its README."""
    if path in _OUTSIDE_PAGES:
        return _OUTSIDE_PAGES[path]
    if _is_page(path):
        inside = posixpath.relpath(path, DOCS)
        return f"{inside}/README.md" if (ROOT / path).is_dir() else inside
    return f"{FILES}/{posixpath.relpath(_file(path), ROOT)}"


def _file(path: str) -> Path:
    """Return the file at a path; for a folder its README."""
    file = ROOT / path
    return file / "README.md" if file.is_dir() else file


def _is_page(path: str) -> bool:
    return path == DOCS or path.startswith(f"{DOCS}/")
