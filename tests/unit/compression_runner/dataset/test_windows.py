"""Running text as windows of tokens."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from compression_runner.dataset import SampleSet, load_samples
from compression_runner.dataset.windows import ROWS_AT_ONCE, windows
from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import TensorInfo
from compressionjob.data import DataRole, EvaluationData, Split


def load(
    rows: list[str], model: Path, place: Path, *, length: int = 16, limit: int = 1000,
    split: Split | None = None, role: DataRole = "evaluation",
) -> SampleSet:  # fmt: skip
    pq.write_table(pa.table({"text": rows}), place / "text.parquet")
    data = EvaluationData.model_validate({"source": "file:///text.parquet", "limit": limit})
    return load_samples(
        data, place / "text.parquet", task="text-generation", model_dir=model, sequence_length=length, role=role,
        split=split,
    )  # fmt: skip


def texts(data: SampleSet, model: Path) -> list[str]:
    tokenizer = AutoTokenizer.from_pretrained(model)
    return [tokenizer.decode(sample["input_ids"]) for sample in data.samples]


def test_rows_are_joined_and_cut_at_fixed_lengths(llama: Path, tmp_path: Path) -> None:
    data = load(["In the beginning", "God created", "the heaven and the earth."], llama, tmp_path)
    assert texts(data, llama) == ["In the beginning", "\nGod created\nthe", " heaven and the "]
    assert {tuple(sample["attention_mask"]) for sample in data.samples} == {(1,) * 16}
    assert data.labels is None


def test_the_limit_counts_windows(llama: Path, tmp_path: Path) -> None:
    rows = [f"verse {number}" for number in range(3 * ROWS_AT_ONCE)]
    data = load(rows, llama, tmp_path, length=32, limit=40)
    assert "".join(texts(data, llama)) == "".join(f"{row}\n" for row in rows)[: 32 * 40]
    assert len(load(rows, llama, tmp_path, length=32, limit=100_000)) == sum(len(row) + 1 for row in rows) // 32


def test_a_short_text_is_one_window(llama: Path, tmp_path: Path) -> None:
    assert texts(load(["short"], llama, tmp_path, length=64), llama) == ["short\n"]


def test_a_split_divides_the_rows(llama: Path, tmp_path: Path) -> None:
    rows = [f"verse {number}" for number in range(200)]
    split = Split.model_validate({"evaluation": "0.5"})
    sides = [load(rows, llama, tmp_path, split=split, role=role) for role in ("evaluation", "training")]
    verses = [set("".join(texts(side, llama)).split("\n")[:-1]) for side in sides]
    assert len(verses[0]) > 70
    assert len(verses[1]) > 70
    assert not verses[0] & verses[1]


def test_a_begin_token_starts_every_window(llama: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in llama.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    settings = json.loads((model / "tokenizer.json").read_text())
    begin = {"Sequence": {"id": "A", "type_id": 0}}
    settings["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<end>", "type_id": 0}}, begin],
        "pair": [begin, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<end>": {"id": "<end>", "ids": [0], "tokens": ["<end>"]}},
    }
    (model / "tokenizer.json").write_text(json.dumps(settings))
    config = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps({**config, "bos_token": "<end>"}))
    begun, _ = windows(["abcdefghijklmnopqrst"], model, 6, 10)
    assert [int(sample["input_ids"][0]) for sample in begun] == [0, 0, 0, 0]
    plain, _ = windows(["abcdefghijklmnopqrst"], llama, 5, 10)
    np.testing.assert_array_equal(begun[1]["input_ids"][1:], plain[1]["input_ids"])


def test_a_graph_with_a_cache_gets_an_empty_one(llama: Path, tmp_path: Path) -> None:
    data = load(["In the beginning God created the heaven"], llama, tmp_path)
    inputs = [
        TensorInfo("input_ids", np.dtype(np.int64), (None, None)),
        TensorInfo("past_key_values.0.key", np.dtype(np.float16), (None, 2, None, 8)),
    ]
    feed = data.batch([0, 1], inputs)
    assert feed["past_key_values.0.key"].shape == (2, 2, 0, 8)
    assert feed["past_key_values.0.key"].dtype == np.float16
    with pytest.raises(InvalidInput, match="width of a head"):
        data.batch([0], [TensorInfo("past_key_values.0.key", np.dtype(np.float32), (None, None, None, 8))])


@pytest.mark.parametrize(
    ("rows", "length", "message"),
    [([""], 16, "fewer than two tokens"), (["text"], 1, "at least two tokens"), (["text"], 4096, "at most 128 tokens")],
)
def test_texts_and_lengths_without_predictions_are_refused(
    rows: list[str], length: int, message: str, llama: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=message):
        load(rows, llama, tmp_path, length=length)
