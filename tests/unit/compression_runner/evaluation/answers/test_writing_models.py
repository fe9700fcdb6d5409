"""Models that answer with text: what is written from a graph is what transformers writes, and how it is compared."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile
import torch
from transformers import AutoProcessor, AutoTokenizer

from compression_runner.artifact import seal
from compression_runner.dataset import SampleSet, load_samples
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.greedy import NOT_FINITE, written
from compression_runner.formats.export import export
from compression_runner.formats.source.transformers_config import check_task
from compression_runner.formats.transformers_model import load_model
from compression_runner.inference.opening import open_predictor
from compressionjob.data import DataRole
from compressionjob.spec import EvaluationData, Task
from tests.support import tiny_models

TEXTS = tiny_models.sentences(6)
RATE = 8000


def recordings(count: int) -> list[bytes]:
    random, found = np.random.default_rng(3), []
    for index in range(count):
        buffer = io.BytesIO()
        soundfile.write(buffer, random.normal(size=RATE // 2 + 500 * index) * 0.1, RATE, format="WAV")
        found.append(buffer.getvalue())
    return found


def table(place: Path, **columns: object) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), place)
    return place


def load(path: Path, model: Path, task: Task, role: DataRole = "evaluation", metric: str | None = None) -> SampleSet:
    data = EvaluationData.model_validate({"source": f"file://{path}"})
    return load_samples(data, path, task=task, model_dir=model, sequence_length=16, role=role, metric=metric)  # type: ignore[arg-type]


def write(model: Path, task: Task, data: SampleSet, out: Path, batch: int) -> list[str]:
    out.mkdir()
    export(seal(model, "transformers", task), out)
    assert data.writing is not None
    with open_predictor(out / "model.onnx", 1, "onnxruntime") as predictor:
        return data.writing.texts(written(predictor, data, batch))


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_summaries_are_those_that_transformers_decodes_greedily(kind: str, tmp_path: Path) -> None:
    model = tiny_models.summarizer(tmp_path / "model", kind=kind)
    data = load(table(tmp_path / "d.parquet", text=TEXTS), model, "summarization")
    found = write(model, "summarization", data, tmp_path / "out", batch=4)
    tokenizer, module = AutoTokenizer.from_pretrained(model), load_model(model, "summarization")
    given = tokenizer(TEXTS, return_tensors="pt", padding=True, truncation=True, max_length=16)
    assert data.writing is not None
    inputs = {name: given[name] for name in ("input_ids", "attention_mask")}
    ids = module.generate(  # type: ignore[operator]
        **inputs, do_sample=False, num_beams=1, max_new_tokens=data.writing.longest, max_length=None
    )
    assert found == [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
    assert len(set(found)) > 1, "the texts depend on the input"


def test_transcripts_of_frames_are_those_of_the_processor(tmp_path: Path) -> None:
    model = tiny_models.transcriber(tmp_path / "model")
    spoken = recordings(4)
    data = load(table(tmp_path / "d.parquet", audio=spoken), model, "automatic-speech-recognition")
    found = write(model, "automatic-speech-recognition", data, tmp_path / "out", batch=1)
    processor, module = AutoProcessor.from_pretrained(model), load_model(model, "automatic-speech-recognition")
    expected = []
    for content in spoken:
        wave, _ = soundfile.read(io.BytesIO(content), dtype="float32")
        values = processor(wave, sampling_rate=RATE, return_tensors="pt").input_values
        with torch.no_grad():
            expected.append(processor.batch_decode(module(values).logits.argmax(-1))[0])
    assert found == expected
    assert all(found)


def test_transcripts_of_a_decoder_are_those_that_transformers_decodes_greedily(tmp_path: Path) -> None:
    model = tiny_models.whisper(tmp_path / "model")
    data = load(table(tmp_path / "d.parquet", audio=recordings(3)), model, "automatic-speech-recognition")
    found = write(model, "automatic-speech-recognition", data, tmp_path / "out", batch=2)
    module = load_model(model, "automatic-speech-recognition")
    features = torch.from_numpy(np.stack([sample["input_features"] for sample in data.samples]))
    tokens = torch.full((3, 1), 2)
    assert data.writing is not None
    for _ in range(data.writing.longest):
        with torch.no_grad():
            following = module(input_features=features, decoder_input_ids=tokens).logits[:, -1].argmax(-1)
        tokens = torch.cat([tokens, following[:, None]], dim=1)
    ended = [row[1:].tolist() for row in tokens]
    ended = [row[: row.index(1)] if 1 in row else row for row in ended]
    tokenizer = AutoTokenizer.from_pretrained(model)
    assert found == [tokenizer.decode(row, skip_special_tokens=True).strip() for row in ended]


def test_what_is_learned_from_says_what_to_write(tmp_path: Path) -> None:
    """Evaluation begins with the prompt alone; training data goes on with the reference."""
    model = tiny_models.summarizer(tmp_path / "model")
    path = table(tmp_path / "d.parquet", text=TEXTS, target=["the cat", *["a dog ran"] * 5])
    measured, learned = load(path, model, "summarization"), load(path, model, "summarization", "training")
    assert [list(map(int, sample["decoder_input_ids"])) for sample in measured.samples] == [[0]] * 6
    words = AutoTokenizer.from_pretrained(model)("the cat", add_special_tokens=False)["input_ids"]
    assert learned.samples[0]["decoder_input_ids"].tolist() == [0, *words]
    assert measured.references == ["the cat", *["a dog ran"] * 5]
    assert measured.only([1, 0]).references == ["a dog ran", "the cat"]
    assert measured.answered


def test_a_model_that_answers_no_numbers_writes_nothing(tmp_path: Path, linear_tokens: Callable[[float], Path]) -> None:
    model = tiny_models.transcriber(tmp_path / "model")
    data = load(table(tmp_path / "d.parquet", audio=recordings(2)), model, "automatic-speech-recognition")
    with open_predictor(linear_tokens(float("nan")), 1, "onnxruntime") as predictor:
        rows = written(predictor, data, 1)
    assert (rows == NOT_FINITE).any(axis=1).all()
    assert data.writing is not None
    assert data.writing.texts(rows) == ["", ""]


@pytest.fixture
def linear_tokens(tmp_path: Path) -> Callable[[float], Path]:
    """Return what makes a graph whose logits are each sample's value times some factor, for three tokens."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def make(factor: float) -> Path:
        graph = helper.make_graph(
            [
                helper.make_node("Unsqueeze", ["x", "axis"], ["column"]),
                helper.make_node("Mul", ["column", "factors"], ["logits"]),
            ],
            "tokens",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "samples"])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "samples", 3])],
            [
                numpy_helper.from_array(np.array([-1], dtype=np.int64), "axis"),
                numpy_helper.from_array(np.full(3, factor, dtype=np.float32), "factors"),
            ],
        )
        place = tmp_path / "tokens.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), place)
        return place

    return make


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    model = tiny_models.summarizer(tmp_path / "model")
    numbers = table(tmp_path / "n.parquet", text=TEXTS, target=[1.0] * 6)
    with pytest.raises(InvalidInput, match=r"columns\.target.*1\.0.*row 0 of column target is not text"):
        load(numbers, model, "summarization")
    without = table(tmp_path / "w.parquet", text=TEXTS)
    with pytest.raises(InvalidInput, match=r"columns\.target.*rougeL needs labels.*there are: text"):
        load(without, model, "summarization", metric="rougeL")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"spec\.model\.source.*how the model writes.*generation_config"):
        load(without, tmp_path / "empty", "summarization")


def test_speech_is_recognised_by_models_of_two_kinds() -> None:
    for architecture in ("Wav2Vec2ForCTC", "WhisperForConditionalGeneration"):
        config = {"model_type": "x", "architectures": [architecture]}
        assert check_task(config, "automatic-speech-recognition", ["vocab.json"]) == architecture
        with pytest.raises(InvalidInput, match="upload the tokenizer"):
            check_task(config, "automatic-speech-recognition", ["config.json"])
