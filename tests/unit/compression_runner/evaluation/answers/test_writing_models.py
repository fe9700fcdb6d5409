"""Models that generate text: a graph generates the same text as transformers, and how texts are compared."""

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
    random, texts = np.random.default_rng(3), []
    for index in range(count):
        buffer = io.BytesIO()
        soundfile.write(buffer, random.normal(size=RATE // 2 + 500 * index) * 0.1, RATE, format="WAV")
        texts.append(buffer.getvalue())
    return texts


def table(place: Path, **columns: object) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), place)
    return place


def load(path: Path, model: Path, task: Task, role: DataRole = "evaluation", metric: str | None = None) -> SampleSet:
    data = EvaluationData.model_validate({"source": f"file://{path}"})
    return load_samples(data, path, task=task, model_dir=model, sequence_length=16, role=role, metric=metric)  # type: ignore[arg-type]


def write(model: Path, task: Task, data: SampleSet, out: Path, batch: int) -> list[str]:
    out.mkdir()
    export(seal(model, "transformers", task), out)
    assert data.generation is not None
    with open_predictor(out / "model.onnx", 1, "onnxruntime") as predictor:
        return data.generation.texts(written(predictor, data, batch))


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_summaries_equal_greedy_decoding_by_transformers(kind: str, tmp_path: Path) -> None:
    model = tiny_models.summarizer(tmp_path / "model", kind=kind)
    data = load(table(tmp_path / "d.parquet", text=TEXTS), model, "summarization")
    texts = write(model, "summarization", data, tmp_path / "out", batch=4)
    tokenizer, module = AutoTokenizer.from_pretrained(model), load_model(model, "summarization")
    given = tokenizer(TEXTS, return_tensors="pt", padding=True, truncation=True, max_length=16)
    assert data.generation is not None
    inputs = {name: given[name] for name in ("input_ids", "attention_mask")}
    ids = module.generate(  # type: ignore[operator]
        **inputs, do_sample=False, num_beams=1, max_new_tokens=data.generation.longest, max_length=None
    )
    assert texts == [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
    assert len(set(texts)) > 1, "the texts depend on the input"


def test_ctc_transcripts_equal_those_of_the_processor(tmp_path: Path) -> None:
    model = tiny_models.transcriber(tmp_path / "model")
    spoken = recordings(4)
    data = load(table(tmp_path / "d.parquet", audio=spoken), model, "automatic-speech-recognition")
    texts = write(model, "automatic-speech-recognition", data, tmp_path / "out", batch=1)
    processor, module = AutoProcessor.from_pretrained(model), load_model(model, "automatic-speech-recognition")
    expected = []
    for content in spoken:
        wave, _ = soundfile.read(io.BytesIO(content), dtype="float32")
        values = processor(wave, sampling_rate=RATE, return_tensors="pt").input_values
        with torch.no_grad():
            expected.append(processor.batch_decode(module(values).logits.argmax(-1))[0])
    assert texts == expected
    assert all(texts)


def test_transcripts_equal_greedy_decoding_by_transformers(tmp_path: Path) -> None:
    model = tiny_models.whisper(tmp_path / "model")
    data = load(table(tmp_path / "d.parquet", audio=recordings(3)), model, "automatic-speech-recognition")
    texts = write(model, "automatic-speech-recognition", data, tmp_path / "out", batch=2)
    module = load_model(model, "automatic-speech-recognition")
    features = torch.from_numpy(np.stack([sample["input_features"] for sample in data.samples]))
    tokens = torch.full((3, 1), 2)
    assert data.generation is not None
    for _ in range(data.generation.longest):
        with torch.no_grad():
            following = module(input_features=features, decoder_input_ids=tokens).logits[:, -1].argmax(-1)
        tokens = torch.cat([tokens, following[:, None]], dim=1)
    ended = [row[1:].tolist() for row in tokens]
    ended = [row[: row.index(1)] if 1 in row else row for row in ended]
    tokenizer = AutoTokenizer.from_pretrained(model)
    assert texts == [tokenizer.decode(row, skip_special_tokens=True).strip() for row in ended]


def test_training_data_has_targets_to_generate(tmp_path: Path) -> None:
    """Evaluation starts from the prompt alone; training data continues with the reference."""
    model = tiny_models.summarizer(tmp_path / "model")
    path = table(tmp_path / "d.parquet", text=TEXTS, target=["the cat", *["a dog ran"] * 5])
    measured, learned = load(path, model, "summarization"), load(path, model, "summarization", "training")
    assert [list(map(int, sample["decoder_input_ids"])) for sample in measured.samples] == [[0]] * 6
    words = AutoTokenizer.from_pretrained(model)("the cat", add_special_tokens=False)["input_ids"]
    assert learned.samples[0]["decoder_input_ids"].tolist() == [0, *words]
    assert measured.references == ["the cat", *["a dog ran"] * 5]
    assert measured.only([1, 0]).references == ["a dog ran", "the cat"]
    assert measured.answered


def test_a_model_with_nan_logits_generates_no_text(tmp_path: Path, linear_tokens: Callable[[float], Path]) -> None:
    model = tiny_models.transcriber(tmp_path / "model")
    data = load(table(tmp_path / "d.parquet", audio=recordings(2)), model, "automatic-speech-recognition")
    with open_predictor(linear_tokens(float("nan")), 1, "onnxruntime") as predictor:
        rows = written(predictor, data, 1)
    assert (rows == NOT_FINITE).any(axis=1).all()
    assert data.generation is not None
    assert data.generation.texts(rows) == ["", ""]


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


def test_a_model_that_cannot_generate_is_refused(tmp_path: Path) -> None:
    model = tiny_models.summarizer(tmp_path / "model")
    numbers = table(tmp_path / "n.parquet", text=TEXTS, target=[1.0] * 6)
    with pytest.raises(InvalidInput, match=r"columns\.target.*1\.0.*row 0 of column target is not text"):
        load(numbers, model, "summarization")
    without = table(tmp_path / "w.parquet", text=TEXTS)
    with pytest.raises(InvalidInput, match=r"columns\.target.*rougeL needs labels.*columns are: text"):
        load(without, model, "summarization", metric="rougeL")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"spec\.model\.source.*generation settings are missing.*generation_config"):
        load(without, tmp_path / "empty", "summarization")


def test_speech_is_recognised_by_models_of_two_kinds() -> None:
    for architecture in ("Wav2Vec2ForCTC", "WhisperForConditionalGeneration"):
        config = {"model_type": "x", "architectures": [architecture]}
        assert check_task(config, "automatic-speech-recognition", ["vocab.json"]) == architecture
        with pytest.raises(InvalidInput, match="upload the tokenizer"):
            check_task(config, "automatic-speech-recognition", ["config.json"])
