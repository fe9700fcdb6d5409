"""RAPL's counters, read from a tree of files such as Linux shows."""

from pathlib import Path

import pytest

from compression_runner.evaluation.machine.energy import energy_meter

RANGE = 262_143_328_850


def _zone(root: Path, zone: str, name: str, energy: int) -> Path:
    folder = root / zone
    folder.mkdir()
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    return folder


def test_packages_and_memory_are_added_without_their_subzones(tmp_path: Path) -> None:
    counted = [
        _zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000),
        _zone(tmp_path, "intel-rapl:1", "package-1", 2_000_000),
        _zone(tmp_path, "intel-rapl:0:2", "dram", 3_000_000),
    ]
    core = _zone(tmp_path, "intel-rapl:0:0", "core", 5_000_000)
    _zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    meter = energy_meter(tmp_path)
    assert meter is not None
    before = meter.read()
    assert set(before) == set(counted)
    for zone in (*counted, core):
        (zone / "energy_uj").write_text(str(int((zone / "energy_uj").read_text()) + 500_000))
    assert meter.since(before) == pytest.approx(1.5)


def test_a_wrapped_counter_gives_no_negative_energy(tmp_path: Path) -> None:
    zone = _zone(tmp_path, "intel-rapl:0", "package-0", RANGE - 249_999)
    meter = energy_meter(tmp_path)
    assert meter is not None
    before = meter.read()
    (zone / "energy_uj").write_text("750000")
    assert meter.since(before) == pytest.approx(1.0)


def test_a_machine_without_counters_has_no_meter(tmp_path: Path) -> None:
    assert energy_meter(tmp_path) is None
    assert energy_meter(tmp_path / "missing") is None


def test_unreadable_counters_give_no_meter(tmp_path: Path) -> None:
    """Linux shows them to root only; to root itself, a folder in the file's place is as unreadable."""
    zone = _zone(tmp_path, "intel-rapl:0", "package-0", 0)
    (zone / "energy_uj").unlink()
    (zone / "energy_uj").mkdir()
    assert energy_meter(tmp_path) is None
