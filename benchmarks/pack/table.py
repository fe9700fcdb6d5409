"""Render results.json as the tables of README.md and of the method's page."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from benchmarks.methods.staleness import Current, note, stale_rows

START: Final = "<!-- results: written by python -m benchmarks.pack -->"
END: Final = "<!-- end of results -->"


def write_tables(pages: Iterable[Path], results: dict[str, Any], now: Current) -> None:
    """Replace the text between the marks in each of the pages."""
    for page in pages:
        before, rest = page.read_text().split(START)
        _, after = rest.split(END)
        page.write_text(f"{before}{START}\n{tables(results, now)}\n{END}{after}")


def tables(results: dict[str, Any], now: Current) -> str:
    """Return the tables, with their origin and their stale results."""
    machine, versions = results["machine"], results["versions"]
    about = (
        f"{machine['cpu']}, one thread, {results['date']}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f"; fastest of {results['rounds']} in turn (of {2 * results['rounds']} in memory), in CPU time. "
        "Ratio: size before divided by size after. Speeds: MB of unpacked bytes per second."
    )
    lines = "\n".join(
        [
            "`auto` compared with zipnn's own library, both in memory:",
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


def _in_memory(by_subject: dict[str, Any]) -> list[str]:
    lines = [
        "| MiniLM | ratio, auto | ratio, zipnn | packing, auto | packing, zipnn | packing, auto / zipnn "
        "| unpacking, auto | unpacking, zipnn |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, sides in by_subject.items():
        ours, theirs = sides["auto"], sides["zipnn"]
        speed = ours["packMBps"] / theirs["packMBps"]
        lines.append(
            f"| {name} | {ours['ratio']:.4f} | {theirs['ratio']:.4f} | {ours['packMBps']:.0f} | "
            f"{theirs['packMBps']:.0f} | {speed:.2f} | {ours['unpackMBps']:.0f} | {theirs['unpackMBps']:.0f} |"
        )
    return lines


def _files(by_subject: dict[str, Any]) -> list[str]:
    codecs = list(next(iter(by_subject.values())))
    lines = ["| codec | " + " | ".join(by_subject) + " |", "|---" * (len(by_subject) + 1) + "|"]
    for codec in codecs:
        cells = (_cell(figures[codec]) for figures in by_subject.values())
        lines.append(f"| {codec} | " + " | ".join(cells) + " |")
    return lines


def _cell(figures: dict[str, float]) -> str:
    return f"{figures['ratio']:.3f}, {figures['packMBps']:.0f} / {figures['unpackMBps']:.0f}"


def _lz4_and_gzip(by_subject: dict[str, Any]) -> str:
    lz4, gzip = by_subject["FP32"]["lz4"], by_subject["FP32"]["gzip"]
    return (
        f"LZ4 packs FP32 weights {lz4['packMBps'] / gzip['packMBps']:.0f} times as fast as gzip at zlib's level 6, but "
        f"with a ratio of {lz4['ratio']:.3f} instead of {gzip['ratio']:.3f}: on floats, it is fast but saves little."
    )
