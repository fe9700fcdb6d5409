"""results.json as the tables of README.md and of the method's page."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from benchmarks.methods.staleness import Current, note, stale_rows

START: Final = "<!-- results: written by python -m benchmarks.pack -->"
END: Final = "<!-- end of results -->"


def write_tables(pages: Iterable[Path], results: dict[str, Any], now: Current) -> None:
    """Replace what stands between the marks in each of the pages."""
    for page in pages:
        before, rest = page.read_text().split(START)
        _, after = rest.split(END)
        page.write_text(f"{before}{START}\n{tables(results, now)}\n{END}{after}")


def tables(results: dict[str, Any], now: Current) -> str:
    """The tables, where they are from, and which of their results are stale."""
    machine, versions = results["machine"], results["versions"]
    about = (
        f"{machine['cpu']}, one thread, {results['date']}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f"; the fastest of {results['rounds']} rounds in turn (of {2 * results['rounds']} in memory), in CPU time. "
        "Ratio: size before by size after. Speeds: MB of plain bytes a second."
    )
    lines = "\n".join(
        [
            "`auto` beside zipnn's own library, both in memory:",
            "",
            *_in_memory(results["inMemory"]),
            "",
            f'On INT8, zipnn says: "{results["zipnnOnINT8"]}".',
            "",
            "Every codec at its default level from file to file, checksums included; ratio, packing / unpacking speed:",
            "",
            *_files(results["files"]),
            "",
            _lz4_and_gzip(results["files"]),
            "",
            about,
        ]
    )
    return f"{lines}\n{note(stale_rows(results['madeWith'], now), 'python -m benchmarks.pack')}".rstrip("\n")


def _in_memory(found: dict[str, Any]) -> list[str]:
    lines = [
        "| MiniLM | ratio, auto | ratio, zipnn | packing, auto | packing, zipnn | auto's by zipnn's "
        "| unpacking, auto | unpacking, zipnn |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, sides in found.items():
        ours, theirs = sides["auto"], sides["zipnn"]
        speed = ours["packMBps"] / theirs["packMBps"]
        lines.append(
            f"| {name} | {ours['ratio']:.4f} | {theirs['ratio']:.4f} | {ours['packMBps']:.0f} | "
            f"{theirs['packMBps']:.0f} | {speed:.2f} | {ours['unpackMBps']:.0f} | {theirs['unpackMBps']:.0f} |"
        )
    return lines


def _files(found: dict[str, Any]) -> list[str]:
    codecs = list(next(iter(found.values())))
    lines = ["| codec | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
    for codec in codecs:
        cells = (_cell(figures[codec]) for figures in found.values())
        lines.append(f"| {codec} | " + " | ".join(cells) + " |")
    return lines


def _cell(figures: dict[str, float]) -> str:
    return f"{figures['ratio']:.3f}, {figures['packMBps']:.0f} / {figures['unpackMBps']:.0f}"


def _lz4_and_gzip(found: dict[str, Any]) -> str:
    lz4, gzip = found["FP32"]["lz4"], found["FP32"]["gzip"]
    return (
        f"LZ4 packs FP32 weights {lz4['packMBps'] / gzip['packMBps']:.0f} times as fast as gzip at zlib's level 6, and "
        f"makes them {lz4['ratio']:.3f} times smaller against {gzip['ratio']:.3f}: on floats, speed is all that it has."
    )
