"""Readers of evaluation data on small real files, and their errors for bad files."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from compression_runner.dataset import SampleSet, load_samples
from compression_runner.dataset.multi_label import MultiLabel
from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import TensorInfo
from compressionjob.spec import EvaluationData

TEXTS = ["a cat sat", "the cat sat on the mat", "mat", "a mat on a cat"]
TOKENS = TensorInfo("input_ids", np.dtype(np.int64), (None, None))
MASK = TensorInfo("attention_mask", np.dtype(np.int64), (None, None))
SEGMENTS = TensorInfo("token_type_ids", np.dtype(np.int64), (None, None))


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """Return a folder with a word tokenizer and a configuration with three named classes."""
    words = ["[PAD]", "[UNK]", "a", "the", "cat", "mat", "sat", "on"]
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    folder = tmp_path / "model"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    labels = {"label2id": {"animal": 0, "thing": 1, "place": 2}}
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", **labels}))
    return folder


def _write(path: Path, rows: dict[str, list[Any]]) -> Path:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(rows), path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: np.asarray(values) for name, values in rows.items()})
    else:
        records = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
        if path.suffix == ".jsonl":
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
        else:
            lines = [",".join(rows), *(",".join(f'"{value}"' for value in record.values()) for record in records)]
            path.write_text("\n".join(lines) + "\n")
    return path


def _load(path: Path, model_dir: Path, task: str = "text-classification", **spec: Any) -> SampleSet:
    metric, inputs = spec.pop("metric", None), spec.pop("inputs", ())
    data = EvaluationData.model_validate({"source": f"file://{path}", **spec})
    return load_samples(
        data,
        path,
        task=task,
        model_dir=model_dir,
        sequence_length=4,
        metric=metric,
        inputs=inputs,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv", ".npz"])
def test_every_format_gives_the_same_samples(suffix: str, tmp_path: Path, model_dir: Path) -> None:
    path = _write(tmp_path / f"data{suffix}", {"text": TEXTS, "label": [0, 1, 1, 2], "other": ["x"] * 4})
    data = _load(path, model_dir, limit=3)
    assert len(data) == 3
    assert data.samples[1]["input_ids"].tolist() == [3, 4, 6, 7], "cut at four tokens"
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 1]


def test_batches_are_padded_to_the_longest_or_to_a_given_length(tmp_path: Path, model_dir: Path) -> None:
    data = _load(_write(tmp_path / "d.jsonl", {"text": TEXTS}), model_dir, "text-embedding")
    batch = data.batch([0, 2], [TOKENS, MASK, SEGMENTS])
    assert batch["input_ids"].tolist() == [[2, 4, 6], [5, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert data.batch([0], [TOKENS], 6)["input_ids"].tolist() == [[2, 4, 6, 0, 0, 0]]
    fixed = TensorInfo("input_ids", np.dtype(np.int32), (None, 2))
    cut = data.batch([0], [fixed])["input_ids"]
    assert cut.tolist() == [[2, 4]]
    assert cut.dtype == np.int32


def test_batches_have_similar_lengths_and_each_sample_once(tmp_path: Path, model_dir: Path) -> None:
    data = _load(_write(tmp_path / "d.jsonl", {"text": TEXTS}), model_dir, "text-embedding")
    batches = list(data.batches([TOKENS], 2))
    assert sorted(index for batch in batches for index in batch) == [0, 1, 2, 3]
    assert batches[0] == [2, 0]


def test_a_fixed_batch_repeats_the_last_sample(tmp_path: Path, model_dir: Path) -> None:
    data = _load(_write(tmp_path / "d.jsonl", {"text": TEXTS[:3]}), model_dir, "text-embedding")
    batches = list(data.batches([TensorInfo("input_ids", np.dtype(np.int64), (2, None))], 8))
    assert [len(batch) for batch in batches] == [2, 2]
    assert batches[1][0] == batches[1][1]


def test_labels_may_be_names_of_classes(tmp_path: Path, model_dir: Path) -> None:
    path = _write(tmp_path / "d.csv", {"text": TEXTS, "label": ["thing", "animal", "2", "1"]})
    data = _load(path, model_dir)
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0, 2, 1]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_samples_may_have_several_labels(suffix: str, tmp_path: Path, model_dir: Path) -> None:
    sets = [[0, 1, 1], [0, 0, 0], [1, 0, 0], [1, 1, 1]]
    config = json.loads((model_dir / "config.json").read_text())
    (model_dir / "config.json").write_text(json.dumps(config | {"problem_type": "multi_label_classification"}))
    data = _load(_write(tmp_path / f"hot{suffix}", {"text": TEXTS, "label": sets}), model_dir)
    names = [["thing", "place"], [], ["animal"], ["animal", "thing", "place"]]
    named = _load(_write(tmp_path / f"names{suffix}", {"text": TEXTS, "label": names}), model_dir)
    for loaded in (data, named):
        assert loaded.labels is not None
        assert loaded.labels.tolist() == sets
        assert loaded.multi_label == MultiLabel(logits=True)
        assert loaded.only([3]).labels.tolist() == [[1, 1, 1]]  # type: ignore[union-attr]
    assert _load(_write(tmp_path / f"none{suffix}", {"text": TEXTS}), model_dir).multi_label is not None


def test_a_graph_is_not_assumed_to_return_logits(tmp_path: Path, model_dir: Path) -> None:
    config = json.loads((model_dir / "config.json").read_text())
    (model_dir / "config.json").write_text(json.dumps(config | {"problem_type": "multi_label_classification"}))
    path = _write(tmp_path / "d.jsonl", {"text": TEXTS})
    assert _load(path, model_dir).multi_label == MultiLabel(logits=True)
    assert _load(path, model_dir, inputs=[TOKENS]).multi_label == MultiLabel(logits=False)


def test_a_sample_may_be_a_pair_of_texts(tmp_path: Path, model_dir: Path) -> None:
    path = _write(tmp_path / "d.parquet", {"text": ["a cat", "cat"], "passage": ["mat", "sat on"], "target": [0.5, 2]})
    columns = {"textPair": "passage"}
    data = _load(path, model_dir, "text-regression", columns=columns)
    assert [sample["input_ids"].tolist() for sample in data.samples] == [[2, 4, 5], [4, 6, 7]]
    assert data.labels is not None
    assert data.labels.tolist() == [0.5, 2.0]
    assert data.multi_label is None
    assert data.texts is None
    with pytest.raises(InvalidInput, match=r"columns.*'other'.*no such column"):
        _load(path, model_dir, "text-regression", columns={"textPair": "other"})
    bad = _write(tmp_path / "bad.parquet", {"text": ["a", "a"], "passage": ["a", None]})
    with pytest.raises(InvalidInput, match=r"columns\.textPair.*row 1 is not text"):
        _load(bad, model_dir, "text-regression", columns=columns)


def test_no_labels_are_needed_for_agreement(tmp_path: Path, model_dir: Path) -> None:
    path = _write(tmp_path / "d.csv", {"text": TEXTS})
    assert _load(path, model_dir, metric="agreement").labels is None


def test_columns_may_have_other_names(tmp_path: Path, model_dir: Path) -> None:
    path = _write(tmp_path / "d.csv", {"sentence": TEXTS, "class": [0, 1, 2, 0]})
    data = _load(path, model_dir, columns={"text": "sentence", "label": "class"})
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 2, 0]


BAD_TABLES: dict[str, tuple[dict[str, list[Any]], dict[str, Any], str]] = {
    "missing text": ({"sentence": TEXTS}, {}, r"columns.*text.*columns are: sentence"),
    "missing label": ({"text": TEXTS}, {"metric": "f1"}, r"columns\.label.*f1 needs labels.*the columns are: text"),
    "named label": ({"text": TEXTS}, {"columns": {"label": "y"}}, r"columns\.label.*'y'.*no such column"),
    "label too high": ({"text": TEXTS, "label": [0, 1, 2, 3]}, {}, r"columns\.label.*'3'.*row 3.*0 \(animal\)"),
    "label negative": ({"text": TEXTS, "label": [0, -1, 2, 1]}, {}, r"columns\.label.*'-1'.*row 1"),
    "label NaN": ({"text": TEXTS, "label": [0.0, float("nan"), 2.0, 1.0]}, {}, r"columns\.label.*nan.*row 1"),
    "label half": ({"text": TEXTS, "label": [0.5, 1.0, 2.0, 1.0]}, {}, r"columns\.label.*0\.5"),
    "label word": ({"text": TEXTS, "label": ["thing", "dog", "thing", "place"]}, {}, r"columns\.label.*'dog'.*row 1"),
    "text null": ({"text": ["a", None, "b", "c"]}, {}, r"columns\.text.*row 1 is not text"),
    "text number": ({"text": [1, 2, 3, 4]}, {}, r"columns\.text.*row 0 is not text"),
}


@pytest.mark.parametrize(("rows", "spec", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_bad_tables_name_field_value_and_remedy(
    rows: dict[str, list[Any]], spec: dict[str, Any], message: str, tmp_path: Path, model_dir: Path
) -> None:
    path = _write(tmp_path / "d.parquet", rows)
    with pytest.raises(InvalidInput, match=message):
        _load(path, model_dir, **spec)


def test_empty_data_is_refused(tmp_path: Path, model_dir: Path) -> None:
    for name in ("d.parquet", "d.jsonl", "d.csv"):
        rows: dict[str, list[Any]] = {"text": []}
        with pytest.raises(InvalidInput, match=r"no rows|no such column"):
            _load(_write(tmp_path / name, rows), model_dir)


@pytest.mark.parametrize("name", ["d.parquet", "d.npz", "d.jsonl"])
def test_a_damaged_file_is_refused(name: str, tmp_path: Path, model_dir: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"PAR1 this is no table\x00\xff")
    with pytest.raises(InvalidInput, match=r"evaluation\.source.*cannot be read"):
        _load(path, model_dir)


def test_an_unknown_type_of_file_is_refused(tmp_path: Path, model_dir: Path) -> None:
    path = tmp_path / "d.pickle"
    path.write_bytes(b"x")
    with pytest.raises(InvalidInput, match=r"unknown type of file.*\.parquet, \.jsonl, \.csv, \.npz"):
        _load(path, model_dir)


def test_a_pickled_array_is_refused(tmp_path: Path, model_dir: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InvalidInput, match="cannot be read"):
        _load(path, model_dir, "onnx")


def test_a_model_without_tokenizer_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.csv", {"text": TEXTS})
    with pytest.raises(InvalidInput, match=r"spec\.model\.source.*tokenizer"):
        _load(path, tmp_path, "text-embedding")


@pytest.mark.parametrize("content", ["", "{", '{"version": "1.0", "model": {"type": "Unheard"}}'])
def test_a_damaged_tokenizer_is_refused(tmp_path: Path, model_dir: Path, content: str) -> None:
    (model_dir / "tokenizer.json").write_text(content)
    for vocabulary in model_dir.glob("vocab.*"):
        vocabulary.unlink()
    path = _write(tmp_path / "d.csv", {"text": TEXTS})
    with pytest.raises(InvalidInput, match=r"spec\.model\.source.*tokenizer cannot be loaded.*save damaged ones anew"):
        _load(path, model_dir, "text-embedding")


def test_a_length_beyond_the_positions_of_the_model_is_refused(tmp_path: Path, model_dir: Path) -> None:
    (model_dir / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": 3}))
    path = _write(tmp_path / "d.csv", {"text": TEXTS})
    with pytest.raises(InvalidInput, match=r"benchmark\.sequenceLength.*'4'.*at most 3 tokens; set it to 3 or less"):
        _load(path, model_dir, "text-embedding")


def test_sample_inputs_of_any_onnx_model(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.npz", {"x": [[1.0, 2.0], [3.0, 4.0]], "y": [[1], [2]]})
    data = _load(path, tmp_path, "onnx")
    infos = [TensorInfo("x", np.dtype(np.float32), (None, 2)), TensorInfo("y", np.dtype(np.int64), (None, 1))]
    batch = data.batch([1, 0], infos)
    assert batch["x"].tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert batch["x"].dtype == np.float32
    assert data.digest.startswith("sha256:")


BAD_ARRAYS = [
    ({"z": [[1.0, 2.0]]}, r"evaluation\.source.*'x'.*the data gives: z"),
    ({"x": [[1.0, 2.0, 3.0]]}, r"shape \(3,\) in the data; the model takes \(2,\) "),
    ({"x": [["a", "b"]]}, r"type <U1.*takes float32"),
]


@pytest.mark.parametrize(("arrays", "message"), BAD_ARRAYS)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, list[Any]], message: str, tmp_path: Path) -> None:
    data = _load(_write(tmp_path / "d.npz", arrays), tmp_path, "onnx")
    with pytest.raises(InvalidInput, match=message):
        data.batch([0], [TensorInfo("x", np.dtype(np.float32), (None, 2))])


def test_arrays_with_nan_or_other_counts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'x'.*sample 1 has NaN"):
        _load(_write(tmp_path / "n.npz", {"x": [[1.0], [float("nan")]]}), tmp_path, "onnx")
    with pytest.raises(InvalidInput, match="differ in their first dimension"):
        _load(_write(tmp_path / "c.npz", {"x": [[1.0], [2.0]], "y": [[1.0]]}), tmp_path, "onnx")
    with pytest.raises(InvalidInput, match=r"give an \.npz file"):
        _load(_write(tmp_path / "t.csv", {"x": [1.0]}), tmp_path, "onnx")


def _png(pixels: "np.ndarray[Any, np.dtype[np.uint8]]") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def test_images_as_bytes_and_as_arrays_are_the_same(tmp_path: Path) -> None:
    pixels = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)
    encoded = _write(tmp_path / "d.parquet", {"image": [_png(image) for image in pixels], "label": [1, 0]})
    arrays = _write(tmp_path / "d.npz", {"image": list(pixels), "label": [1, 0]})
    info = [TensorInfo("pixel_values", np.dtype(np.float32), (None, 1, 4, 4))]
    batches = [_load(path, tmp_path, "image-classification").batch([0, 1], info) for path in (encoded, arrays)]
    assert np.array_equal(batches[0]["pixel_values"], batches[1]["pixel_values"])
    assert batches[0]["pixel_values"].max() == pytest.approx(31 / 255)


def test_images_are_prepared_with_the_settings_of_the_model(tmp_path: Path) -> None:
    settings = {
        "image_processor_type": "ViTImageProcessor", "size": {"height": 2, "width": 2}, "do_resize": True,
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5], "image_std": [0.5],
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    # AutoImageProcessor would use ConvNext's processor for a ResNet and ignore preprocessor_config.json.
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    path = _write(tmp_path / "d.npz", {"image": list(np.full((1, 4, 4), 255, dtype=np.uint8))})
    data = _load(path, tmp_path, "image-classification")
    assert data.samples[0]["pixel_values"].shape == (1, 2, 2)
    assert data.samples[0]["pixel_values"].tolist() == [[[1.0, 1.0], [1.0, 1.0]]]


def test_values_that_are_not_images_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.parquet", {"image": [b"not a picture"]})
    with pytest.raises(InvalidInput, match=r"columns\.image.*13 bytes.*PNG or JPEG"):
        _load(path, tmp_path, "image-classification")
    path = _write(tmp_path / "s.jsonl", {"image": ["cat.png"]})
    with pytest.raises(InvalidInput, match=r"columns\.image.*not an image"):
        _load(path, tmp_path, "image-classification")
