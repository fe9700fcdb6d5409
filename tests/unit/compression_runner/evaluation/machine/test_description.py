import platform
from pathlib import Path

import pytest

from compression_runner.evaluation.machine.description import machine

X86 = """processor\t: 0
model name\t: AMD EPYC 9654: 96 cores
flags\t\t: fpu avx avx2 avx512f avx512_vnni avx512_bf16

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
ARM = """processor\t: 0
Features\t: fp asimd asimddp i8mm bf16 sve
"""


@pytest.mark.parametrize(
    ("text", "model", "instructions"),
    [
        (X86, "AMD EPYC 9654: 96 cores", ["avx2", "avx512f", "avx512_vnni", "avx512_bf16"]),
        (ARM, "Neoverse-V2", ["asimddp", "i8mm", "bf16", "sve"]),
        ("", "Neoverse-V2", []),
    ],
)
def test_a_machine_names_the_instructions_that_decide_the_speed_of_integers(
    text: str, model: str, instructions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "processor", lambda: "Neoverse-V2")
    (tmp_path / "cpuinfo").write_text(text)
    described = machine(tmp_path / "cpuinfo")
    assert (described.cpu, described.instructions) == (model, instructions)
