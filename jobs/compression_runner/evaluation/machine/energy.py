"""Energy of the machine's processors, from Linux's RAPL counters.

Both engines run on the CPU, so the energy of an answer does not include a GPU; stages report their own use of a GPU.
The counters cover whole processors and their memory, including other processes and idle cores. Linux shows them to root
only (CVE-2020-8694), and virtual machines rarely have them: then there is no meter, and the report has no energy.
Source: kernel.org, Documentation/power/powercap/powercap.rst.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

POWERCAP: Final = Path("/sys/class/powercap")
MICROJOULES: Final = 1e-6
_COUNTED: Final = ("package-", "dram")
"""Zones to add: packages, which include their cores, and memory, which is separate."""

Counters = Mapping[Path, int]
"""Microjoules by zone."""


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
