"""Energy of the device that runs the models: processors from Linux's RAPL counters, a GPU from its driver.

For engines on the CPU, the energy of an answer does not include a GPU. For engines on a GPU, it is that of the GPU
alone. Both include other processes. RAPL counters cover whole processors and their memory, with idle cores. Linux shows
them to root only (CVE-2020-8694), and virtual machines rarely have them: then there is no meter, and the report has no
energy. Source: kernel.org, Documentation/power/powercap/powercap.rst.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from compression_runner.gpu.card import Card

POWERCAP: Final = Path("/sys/class/powercap")
MICROJOULES: Final = 1e-6
_COUNTED: Final = ("package-", "dram")
"""Zones to add: packages, which include their cores, and memory, which is separate."""

Counters = Mapping[Path, int]
"""Microjoules by zone."""


class Meter(Protocol):
    """Reads the energy that a device has used since some earlier moment."""

    def read(self) -> Any:
        """Return the counters now."""

    def since(self, before: Any) -> float | None:
        """Return the joules used since a reading; None if they are unknown."""


@dataclass(frozen=True)
class GpuEnergyMeter:
    """A GPU whose driver counts its energy."""

    card: Card

    def read(self) -> float | None:
        """Return the driver's joules now."""
        return self.card.joules()

    def since(self, before: float | None) -> float | None:
        """Return the joules used since a reading; None if they are unknown."""
        return used_since(before, self.read())


def used_since(before: float | None, now: float | None) -> float | None:
    """Return the joules between two readings of a GPU; None without both, or if the driver was reloaded."""
    return None if before is None or now is None or now < before else now - before


@dataclass(frozen=True)
class EnergyMeter:
    """The zones that are read, each with the microjoules at which its counter wraps to 0."""

    zones: Mapping[Path, int]

    def read(self) -> Counters:
        """Return the counters now."""
        return {zone: int((zone / "energy_uj").read_text()) for zone in self.zones}

    def since(self, before: Counters) -> float:
        """Return the joules used since a reading, which must be at most about a minute old."""
        now = self.read()
        return sum((now[zone] - before[zone]) % (self.zones[zone] + 1) for zone in self.zones) * MICROJOULES


def energy_meter(powercap: Path = POWERCAP) -> EnergyMeter | None:
    """Return a meter of all processors; None if there are no counters or this process may not read them."""
    zones: dict[Path, int] = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):  # the driver has this name on AMD, too
        try:
            if (zone / "name").read_text().startswith(_COUNTED):
                int((zone / "energy_uj").read_text())
                zones[zone] = int((zone / "max_energy_range_uj").read_text())
        except OSError:
            return None
    return EnergyMeter(zones) if zones else None
