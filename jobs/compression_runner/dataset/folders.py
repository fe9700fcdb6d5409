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
"""Files that operating systems leave in folders: dot files, thumbnails, view settings."""


@dataclass(frozen=True)
class Listing:
    """The samples of a folder, as relative paths in reading order, and its classes by name.

    There are no classes if the files are in the folder itself.
    """

    kind: Kind
    files: tuple[str, ...]
    classes: tuple[str, ...]


def listing(paths: Iterable[str], name: str) -> Listing | None:
    """Return the samples and classes of a folder with these files; None without an image or a recording.

    The classes alternate, so that a limit takes samples of each. Raises InvalidInput for a folder that mixes images
    with recordings, files in class folders with files outside, or samples with other files.
    """
    every = sorted((path for path in paths if not HIDDEN.search(path)), key=_natural)
    of_kind = {kind: [path for path in every if path.lower().endswith(suffixes)] for kind, suffixes in SUFFIXES.items()}
    kinds = [kind for kind, matches in of_kind.items() if matches]
    if not kinds:
        return None
    if len(kinds) > 1:
        examples = " and ".join(of_kind[kind][0] for kind in kinds)
        raise bad_data(SOURCE, name, f"it mixes images and recordings ({examples})", "give a folder for each")
    samples = of_kind[kinds[0]]
    _require_one_depth(samples, name)
    folders = {str(PurePosixPath(path).parent) for path in samples}
    known = set(samples)
    # A README beside the folders is harmless; a file of another kind among the samples may be a lost sample.
    foreign = [path for path in every if path not in known and ("/" in path or folders == {"."})]
    foreign = [path for path in foreign if not path.upper().startswith(("README", "LICENSE"))]
    if foreign:
        remedy = f"give files of one kind ({', '.join(SUFFIXES[kinds[0]])}), or move it out"
        raise bad_data(SOURCE, name, f"{foreign[0]} is among the {kinds[0]} files", remedy)
    if folders == {"."}:
        return Listing(kinds[0], tuple(samples), ())
    return Listing(kinds[0], _interleaved(samples), tuple(sorted(folders)))


def read_folder(path: Path, kind: str, content: str, label: str, rows: Rows) -> Table:
    """Return the files of `rows` in the column `content`, and the names of their classes in `label`.

    A file is a mapping with its content under "bytes" and its name under "path", as in the datasets library.
    Raises InvalidInput as `listing` does, and for a folder without samples of the kind.
    """
    folder = listing((file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()), path.name)
    if folder is None or folder.kind != kind:
        fault = "it has neither images nor recordings" if folder is None else f"it has {folder.kind} files"
        raise bad_data(SOURCE, path.name, fault, f"name a folder of {kind} files, or correct spec.model.task")
    files = [folder.files[row] for row in rows if row < len(folder.files)]
    table: Table = {content: [{"bytes": (path / file).read_bytes(), "path": file} for file in files]}
    if folder.classes:
        table[label] = [str(PurePosixPath(file).parent) for file in files]
    require_rows(table, rows, path.name)
    return table


def class_folders(path: Path) -> dict[str, int]:
    """Return class name -> number in the order of folder names; empty for a file, and without class folders."""
    return {name: number for number, name in enumerate(_folders(path))}


def _folders(path: Path) -> list[str]:
    return sorted(each.name for each in path.glob("*/") if not HIDDEN.search(f"{each.name}/"))


def _require_one_depth(samples: Sequence[str], name: str) -> None:
    depths = {path.count("/"): path for path in samples}
    if max(depths) > 1:
        problem = f"{depths[max(depths)]} is more than one folder deep"
        remedy = "name the folder that holds one folder for each class (for a split such as train/, that folder)"
        raise bad_data(SOURCE, name, problem, remedy)
    if len(depths) > 1:
        problem = f"it has files in class folders ({depths[1]}) and files outside ({depths[0]})"
        raise bad_data(SOURCE, name, problem, "put every file into the folder of its class")


def _interleaved(samples: Sequence[str]) -> tuple[str, ...]:
    """Return the first sample of each class, then the second of each, and so on."""
    counts: dict[str, int] = {}
    turns: list[tuple[int, str, str]] = []
    for path in samples:
        folder = path.rpartition("/")[0]
        counts[folder] = counts.get(folder, -1) + 1
        turns.append((counts[folder], folder, path))
    return tuple(path for _, _, path in sorted(turns, key=lambda turn: turn[:2]))


def _natural(path: str) -> list[tuple[int, int | str]]:
    """Return a sort key that orders numbers in names by value: 2.png before 10.png."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", path)]
