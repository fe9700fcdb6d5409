"""The machine of a measurement: processor, instructions, memory and kernel."""

import os
import platform
from pathlib import Path
from typing import Final

from compression_runner.evaluation.machine.cpus import usable_cpus
from compressionjob.report import Machine

PRODUCTS: Final = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16", "amx_fp16",
    "asimddp", "i8mm", "bf16", "sve", "sve2", "sme",
)  # fmt: skip
"""Flags of /proc/cpuinfo for the instructions that products of matrices use, on x86 and on Arm.

The speed-up of a quantized model depends on them most of all: without VNNI (avx_vnni, avx512_vnni), for example, x86
CPUs multiply 8-bit integers in several steps.
"""


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Machine:
    """Describe the machine of the measurement."""
    fields = _first_of_each(cpuinfo)
    flags = fields.get("flags", fields.get("Features", "")).split()
    return Machine(
        cpu=fields.get("model name") or platform.processor() or platform.machine(),
        instructions=[name for name in PRODUCTS if name in flags],
        cpus=os.cpu_count(),
        usable_cpus=usable_cpus(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        architecture=platform.machine(),
    )


def _first_of_each(cpuinfo: Path) -> dict[str, str]:
    """Return the value of each field for the first CPU that has it."""
    fields: dict[str, str] = {}
    for line in cpuinfo.read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields
