"""An engine that does not load what was judged is refused. The engine is transformers behind vLLM's interface."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from safetensors.torch import load_file

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.dataset.windows import windows
from compression_runner.errors import BadRecipe
from compression_runner.evaluation.serving.engine_check import CheckedModel, checked_texts, judged, require_loaded
from compression_runner.formats.changed_checkpoint import quantized_tensors, write_changed
from compression_runner.inference.opening import open_predictor
from compression_runner.inference.serving import vllm
from compression_runner.inference.serving.server import Command, ServerFailedError, StatusError
from compressionjob.report import EngineCheck
from tests.support import tiny_models
from tests.support.completions_server import Behaviour, Stand, application
from tests.support.packed_checkpoints import changed, exported, packed_llama, set_scales

TEXT = ["in the beginning was the word and the word was made of bytes and there were many of them"] * 10


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path]:
    return packed_llama(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def texts(packed: tuple[Artifact, Path]) -> SampleSet:
    samples, padding = windows(TEXT, packed[0].path, 32, 20)  # type: ignore[arg-type]
    return checked_texts(SampleSet(samples, "sha256:0", padding=padding), tokens=24)


@contextmanager
def served(folder: Path) -> Iterator[SimpleNamespace]:
    """Serve a folder from a thread of this process, which has imported the libraries already."""
    loop, stand = asyncio.new_event_loop(), Stand(Behaviour(), folder)
    runner = web.AppRunner(application(stand))
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", 0)
    loop.run_until_complete(site.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield SimpleNamespace(url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(runner.cleanup())
        loop.close()


def model_of(command: Command) -> Path:
    return Path(command.arguments[command.arguments.index("--model") + 1])


def check(
    artifact: Artifact, graph: Path, texts: SampleSet, scratch: Path, serves: Callable[[Path], Path] = lambda it: it
) -> EngineCheck:
    """Check a checkpoint on an engine; `serves` maps a folder to the one that the engine really loads."""
    command = vllm.command_of(artifact.path, vllm.ServerPlan(64, 1, 1), scratch, scratch / "compressed.log")
    with open_predictor(graph, 1, "onnxruntime") as predictor:
        expected = judged(predictor, texts)
    checked = CheckedModel(artifact.path, command, scratch)
    return require_loaded(checked, texts, expected, lambda _: None, lambda one: served(serves(model_of(one))))


def test_an_engine_that_loads_the_judged_model_is_accepted(
    packed: tuple[Artifact, Path], texts: SampleSet, tmp_path: Path
) -> None:
    result = check(*packed, texts, tmp_path)
    assert result.places == len(texts) * 23
    assert result.difference < 1e-4
    assert result.same == 1.0
    assert result.scales == 14
    assert [item.name.rpartition(".")[2] for item in result.changed] == ["weight_packed", "weight_scale"]
    assert not (tmp_path / "changed").exists()


def test_a_model_without_quantized_layers_is_compared_and_not_changed(texts: SampleSet, tmp_path: Path) -> None:
    model = seal(tiny_models.llama(tmp_path / "llama"), "transformers", "text-generation")
    (tmp_path / "onnx").mkdir()
    result = check(model, exported(model, tmp_path / "onnx"), texts, tmp_path)
    assert (result.scales, result.changed) == (0, [])
    assert result.difference < 1e-4


def test_another_model_than_the_judged_one_is_refused(
    packed: tuple[Artifact, Path], texts: SampleSet, tmp_path: Path
) -> None:
    other = changed(packed[0], tmp_path / "other", lambda folder: set_scales(folder, 100.0))
    problem = (
        r"the loss of a token in vllm 1\.2\.3 differs from the judged model's by [\d.]+ nats on average, over 0\.2"
    )
    with pytest.raises(BadRecipe, match=problem) as refused:
        check(*packed, texts, tmp_path, serves=lambda _: other.path)
    assert (refused.value.reason, refused.value.field) == ("NotLoadable", "spec.benchmark.engine")


def test_an_engine_that_does_not_use_a_tensor_is_refused(
    packed: tuple[Artifact, Path], texts: SampleSet, tmp_path: Path
) -> None:
    """It serves the same model, whatever the codes are."""
    first = quantized_tensors(packed[0].path)[0]
    with pytest.raises(BadRecipe, match=rf"answers alike if {re.escape(first)} has other values"):
        check(*packed, texts, tmp_path, serves=lambda _: packed[0].path)


@pytest.mark.parametrize(("count", "more"), [(1, ""), (5, ", and 2 more")])
def test_scales_that_are_not_loaded_are_named(
    packed: tuple[Artifact, Path],
    texts: SampleSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    more: str,
) -> None:
    def compare(_url: str, _folder: Path) -> vllm.ScaleComparison:
        missing: Mapping[str, int] = {f"layers.{number}.weight_scale": 7 for number in range(count)}
        return vllm.ScaleComparison(14, missing)

    monkeypatch.setattr(vllm, "compare_scales", compare)
    problem = rf"vllm 1\.2\.3 has not loaded scales of the checkpoint: layers\.0\.weight_scale \(7 values\).*{more}$"
    with pytest.raises(BadRecipe) as refused:
        check(*packed, texts, tmp_path)
    assert re.fullmatch(problem, refused.value.problem)


@pytest.mark.parametrize(
    ("error", "log", "cause"),
    [
        (ConnectionResetError(), "INFO ready", "ConnectionResetError"),
        (StatusError("status 500: no kernel"), "INFO ready", "status 500: no kernel"),
        (StatusError("status 500: see above"), "RuntimeError: no kernel", "RuntimeError: no kernel"),
    ],
)
def test_an_engine_whose_scales_cannot_be_read_is_named(
    packed: tuple[Artifact, Path], texts: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    error: Exception, log: str, cause: str,
) -> None:  # fmt: skip
    def refuse(_url: str, _folder: Path) -> vllm.ScaleComparison:
        (tmp_path / "compressed.log").write_text(log)
        raise error

    monkeypatch.setattr(vllm, "compare_scales", refuse)
    problem = rf"vllm does not answer about itself and its scales \({cause}; log: .*compressed\.log\)"
    with pytest.raises(BadRecipe, match=problem) as failed:
        check(*packed, texts, tmp_path)
    assert failed.value.reason == "EngineFailed"


def test_an_engine_that_does_not_start_is_named_with_its_cause(
    packed: tuple[Artifact, Path], texts: SampleSet, tmp_path: Path
) -> None:
    def start(_: Command) -> object:
        raise ServerFailedError("KeyError: no weight_scales")

    with open_predictor(packed[1], 1, "onnxruntime") as predictor:
        expected = judged(predictor, texts)
    command = Command(["x"], {}, tmp_path / "log", 1.0)
    with pytest.raises(
        BadRecipe, match=r"vllm does not serve the compressed model: it did not start: KeyError"
    ) as failed:
        require_loaded(CheckedModel(packed[0].path, command, tmp_path), texts, expected, lambda _: None, start)  # type: ignore[arg-type]
    assert failed.value.reason == "EngineFailed"


def test_a_changed_copy_differs_in_one_tensor(packed: tuple[Artifact, Path], tmp_path: Path) -> None:
    folder = packed[0].path
    for name in quantized_tensors(folder):
        write_changed(folder, name, tmp_path / name)
        before, after = (load_file(place / "model.safetensors") for place in (folder, tmp_path / name))
        assert [key for key in before if not bool((before[key] == after[key]).all())] == [name]
        assert before[name].dtype == after[name].dtype
        assert (tmp_path / name / "config.json").read_bytes() == (folder / "config.json").read_bytes()
