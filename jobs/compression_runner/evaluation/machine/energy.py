"""Energy that the machine's processors used, from the counters that Linux shows of them (RAPL).

Both engines run on the CPU, so a GPU's energy is no part of an answer's; what stages use of it is told by them. The
counters are of whole processors and their memory: what other processes and idle cores used is in them. Linux shows them
to root only (CVE-2020-8694), and virtual machines seldom at all: then there is no meter, and the report has no energy.
Source: kernel.org, Documentation/power/powercap/powercap.rst.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

POWERCAP: Final = Path("/sys/class/powercap")
MICROJOULES: Final = 1e-6
_COUNTED: Final = ("package-", "dram")
"""Zones that add up: packages (cores are inside of them) and their memory (which is not)."""

Counters = Mapping[Path, int]
"""Microjoules by zone."""


@dataclass(frozen=True)
class EnergyMeter:
    """The zones that are read, each with the microjoules after which its counter starts again from 0."""

    zones: Mapping[Path, int]

    def read(self) -> Counters:
        """Return the counters now."""
        return {zone: int((zone / "energy_uj").read_text()) for zone in self.zones}

    def since(self, before: Counters) -> float:
        """Return the joules that were used since a reading, which must be less than a minute old or so."""
        now = self.read()
        return sum((now[zone] - before[zone]) % (self.zones[zone] + 1) for zone in self.zones) * MICROJOULES


def energy_meter(powercap: Path = POWERCAP) -> EnergyMeter | None:
    """Return a meter of all processors, None where there are no counters or this process may not read them."""
    zones: dict[Path, int] = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):  # the driver has this name on AMD, too
        try:
            if (zone / "name").read_text().startswith(_COUNTED):
                int((zone / "energy_uj").read_text())
                zones[zone] = int((zone / "max_energy_range_uj").read_text())
        except OSError:
            return None
    return EnergyMeter(zones) if zones else None
