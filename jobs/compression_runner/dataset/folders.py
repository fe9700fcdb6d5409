"""Folders of images or recordings, one folder for each class: `cat/1.png`, `dog/1.png`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from compression_runner.dataset.problems import SOURCE, bad_data
from compression_runner.dataset.rows import Rows
from compression_runner.dataset.table import Table, require_rows

Kind = Literal["image", "audio"]
SUFFIXES: Final[dict[Kind, tuple[str, ...]]] = {
    "image": (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".avif"),
    "audio": (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif"),
}
HIDDEN: Final = re.compile(r"(^|/)(\.|__MACOSX/|Thumbs\.db$|desktop\.ini$)")
"""What an operating system leaves in a folder: names with a dot in front, thumbnails, a folder's looks."""


@dataclass(frozen=True)
class Listing:
    """The samples of a folder, as paths below it in the order in which they are read, and its classes by name.

    There are no classes where the files lie in the folder itself.
    """

    kind: Kind
    files: tuple[str, ...]
    classes: tuple[str, ...]


def listing(paths: Iterable[str], name: str) -> Listing | None:
    """What is in a folder with these files; None where none of them is an image or a recording.

    The classes take turns, so that a limit takes from each of them. Raises InvalidInput for a folder that mixes images
    with recordings, classes with files of none, or samples with other files.
    """
    every = sorted((path for path in paths if not HIDDEN.search(path)), key=_natural)
    of_kind = {kind: [path for path in every if path.lower().endswith(suffixes)] for kind, suffixes in SUFFIXES.items()}
    kinds = [kind for kind, found in of_kind.items() if found]
    if not kinds:
        return None
    if len(kinds) > 1:
        examples = " and ".join(of_kind[kind][0] for kind in kinds)
        raise bad_data(SOURCE, name, f"it mixes images and recordings ({examples})", "give a folder for each")
    samples = of_kind[kinds[0]]
    _require_one_depth(samples, name)
    folders = {str(PurePosixPath(path).parent) for path in samples}
    known = set(samples)
    # A README beside the folders does no harm; a file of another kind among the samples may be a sample that is lost.
    foreign = [path for path in every if path not in known and ("/" in path or folders == {"."})]
    foreign = [path for path in foreign if not path.upper().startswith(("README", "LICENSE"))]
    if foreign:
        remedy = f"give files of one kind ({', '.join(SUFFIXES[kinds[0]])}), or move it out"
        raise bad_data(SOURCE, name, f"{foreign[0]} lies among the {kinds[0]} files", remedy)
    if folders == {"."}:
        return Listing(kinds[0], tuple(samples), ())
    return Listing(kinds[0], _in_turn(samples), tuple(sorted(folders)))


def read_folder(path: Path, kind: str, content: str, label: str, rows: Rows) -> Table:
    """Return the files of `rows` in the column `content`, and the names of their classes in `label`.

    A file is a mapping with its content under "bytes" and its name under "path", as the datasets library has it.
    Raises InvalidInput as `listing` does, and for a folder without samples of the kind.
    """
    found = listing((file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()), path.name)
    if found is None or found.kind != kind:
        there = "neither images nor recordings lie there" if found is None else f"{found.kind} files lie there"
        raise bad_data(SOURCE, path.name, there, f"name a folder of {kind} files, or correct spec.model.task")
    files = [found.files[row] for row in rows if row < len(found.files)]
    table: Table = {content: [{"bytes": (path / file).read_bytes(), "path": file} for file in files]}
    if found.classes:
        table[label] = [str(PurePosixPath(file).parent) for file in files]
    require_rows(table, rows, path.name)
    return table


def class_folders(path: Path) -> dict[str, int]:
    """Return class name -> number by the order of the folders' names; empty for a file, and where there are none."""
    return {name: number for number, name in enumerate(_folders(path))}


def _folders(path: Path) -> list[str]:
    return sorted(each.name for each in path.glob("*/") if not HIDDEN.search(f"{each.name}/"))


def _require_one_depth(samples: Sequence[str], name: str) -> None:
    depths = {path.count("/"): path for path in samples}
    if max(depths) > 1:
        problem = f"{depths[max(depths)]} lies more than one folder deep"
        remedy = "name the folder that holds one folder for each class (for a part such as train/, that part)"
        raise bad_data(SOURCE, name, problem, remedy)
    if len(depths) > 1:
        problem = f"it has files in folders ({depths[1]}) and files in none ({depths[0]})"
        raise bad_data(SOURCE, name, problem, "put every file into the folder of its class")


def _in_turn(samples: Sequence[str]) -> tuple[str, ...]:
    """The first of each class, then the second of each, and so on."""
    seen: dict[str, int] = {}
    turns: list[tuple[int, str, str]] = []
    for path in samples:
        folder = path.rpartition("/")[0]
        seen[folder] = seen.get(folder, -1) + 1
        turns.append((seen[folder], folder, path))
    return tuple(path for _, _, path in sorted(turns, key=lambda turn: turn[:2]))


def _natural(path: str) -> list[tuple[int, int | str]]:
    """Numbers within names by their value: 2.png before 10.png."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", path)]
