"""Readers of recordings, videos and tables of numbers, on small real files."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image
from scipy import signal
from transformers import ASTFeatureExtractor, VideoMAEImageProcessor, Wav2Vec2FeatureExtractor

from compression_runner.dataset import SampleSet, load_samples
from compression_runner.dataset.audio import resampled
from compression_runner.dataset.videos import evenly
from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import TensorInfo
from compressionjob.spec import EvaluationData

RATE = 8000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
SHORT = TONE[:3000]


def load(path: Path, model_dir: Path, task: str, **spec: Any) -> SampleSet:
    metric = spec.pop("metric", None)
    data = EvaluationData.model_validate({"source": f"file://{path}", **spec})
    return load_samples(data, path, task=task, model_dir=model_dir, sequence_length=4, metric=metric)  # type: ignore[arg-type]


def wav(samples: NDArray[np.float32], rate: int = RATE, kind: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind)
    return buffer.getvalue()


def table(place: Path, **columns: Any) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), place)
    return place


def png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Return a model's folder without a preprocessor."""
    folder = tmp_path / "plain"
    folder.mkdir()
    return folder


@pytest.fixture
def waveforms(tmp_path: Path) -> Path:
    """Return the folder of a model that takes normalised samples, 16,000 in a second."""
    Wav2Vec2FeatureExtractor(sampling_rate=16000, do_normalize=True).save_pretrained(tmp_path / "waveforms")
    return tmp_path / "waveforms"


def audio_of(data: SampleSet, row: int = 0) -> NDArray[Any]:
    return np.asarray(data.samples[row]["input_values"])


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_an_encoded_recording_is_decoded_to_its_samples(kind: str, tmp_path: Path, plain: Path) -> None:
    data = load(table(tmp_path / "d.parquet", audio=[wav(TONE, kind=kind)]), plain, "audio-classification")
    assert np.allclose(audio_of(data), TONE, atol=2 / 32768)


def test_recordings_may_be_mappings_and_arrays(tmp_path: Path, plain: Path) -> None:
    """Mappings as in the datasets library, and lists of numbers."""
    encoded = table(tmp_path / "a.parquet", audio=[{"bytes": wav(TONE), "path": "tone.wav"}])
    decoded = table(tmp_path / "b.parquet", audio=[{"array": TONE.tolist(), "sampling_rate": RATE}])
    whole = table(tmp_path / "c.parquet", audio=[(TONE * 32768).astype(np.int16).tolist()], sampling_rate=[RATE])
    whole_numbers = pyarrow.table(
        {"audio": pyarrow.array([(TONE * 32768).astype(np.int16)], pyarrow.list_(pyarrow.int16()))}
    )
    pyarrow.parquet.write_table(whole_numbers, tmp_path / "d.parquet")
    for path in (encoded, decoded, tmp_path / "d.parquet"):
        assert np.allclose(audio_of(load(path, plain, "audio-classification")), TONE, atol=2 / 32768), path.name
    assert len(audio_of(load(whole, plain, "audio-classification"))) == RATE


def test_channels_are_averaged(tmp_path: Path, plain: Path) -> None:
    """Any number of channels is averaged; arrays may have the channels first."""
    both, many = np.stack([TONE, np.zeros_like(TONE)], axis=1), np.pad(TONE[:, None], ((0, 0), (0, 23)))
    data = load(table(tmp_path / "d.parquet", audio=[wav(both), wav(many)]), plain, "audio-classification")
    assert np.allclose(audio_of(data), TONE / 2, atol=2 / 32768)
    assert np.allclose(audio_of(data, 1), TONE / 24, atol=2 / 32768)
    data = load(table(tmp_path / "a.parquet", audio=[both.T.tolist()]), plain, "audio-classification")
    assert np.allclose(audio_of(data), TONE / 2, atol=1e-6)


def test_recordings_are_resampled_to_the_rate_of_the_model(tmp_path: Path, waveforms: Path) -> None:
    data = load(table(tmp_path / "d.parquet", audio=[wav(TONE)]), waveforms, "audio-classification")
    samples = audio_of(data)
    assert samples.shape == (16000,)
    assert np.abs(np.fft.rfft(samples)).argmax() == 440, "the tone keeps its pitch"
    assert samples.mean() == pytest.approx(0.0, abs=1e-5)
    assert samples.std() == pytest.approx(1.0, abs=1e-3), "the extractor normalises"


def test_resampling_equals_that_of_scipy() -> None:
    assert np.allclose(resampled(TONE, 8000, 44100), signal.resample_poly(TONE, 441, 80), atol=1e-6)
    assert resampled(TONE, 8000, 8000) is TONE


def test_arrays_have_their_rate_in_a_column(tmp_path: Path, waveforms: Path) -> None:
    path = table(tmp_path / "d.parquet", sound=[TONE.tolist(), TONE.tolist()], hertz=[8000, 16000])
    data = load(path, waveforms, "audio-classification", columns={"audio": "sound", "samplingRate": "hertz"})
    assert [len(audio_of(data, row)) for row in (0, 1)] == [16000, 8000]


def test_recordings_of_different_lengths_are_padded(tmp_path: Path, plain: Path) -> None:
    path = table(tmp_path / "d.parquet", audio=[wav(SHORT), wav(TONE), wav(SHORT[:100])])
    data = load(path, plain, "audio-classification")
    free = [TensorInfo("input_values", np.dtype(np.float32), (None, None))]
    assert data.batch([0, 2], free)["input_values"].shape == (2, 3000)
    assert not data.batch([0, 2], free)["input_values"][1, 100:].any()
    assert data.batch([2], free, 128)["input_values"].shape == (1, RATE), "benchmarks are as long as the longest"
    fixed = [TensorInfo("waveform", np.dtype(np.float32), (None, 4000))]
    assert data.batch([0, 1], fixed)["waveform"].shape == (2, 4000)
    assert next(iter(data.batches(free, 2))) == [2, 0], "similar lengths together"


def test_spectrograms_equal_those_of_the_extractor(tmp_path: Path) -> None:
    extractor = ASTFeatureExtractor(num_mel_bins=16, max_length=64, sampling_rate=RATE)
    extractor.save_pretrained(tmp_path / "ast")
    path = table(tmp_path / "d.parquet", audio=[wav(TONE), wav(SHORT)], label=["a", "b"])
    (tmp_path / "ast" / "config.json").write_text(json.dumps({"model_type": "x", "label2id": {"a": 0, "b": 1}}))
    data = load(path, tmp_path / "ast", "audio-classification")
    decoded, _ = soundfile.read(io.BytesIO(wav(TONE)), dtype="float32")
    expected = extractor(decoded, sampling_rate=RATE, return_tensors="np")["input_values"][0]
    assert audio_of(data).shape == (64, 16)
    assert np.allclose(audio_of(data), expected, atol=1e-4)
    assert data.free == frozenset()
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1]


BAD_AUDIO: dict[str, tuple[list[Any], str]] = {
    "not audio": (
        [b"RIFF no sound"],
        r"columns\.audio.*row 0 is not a recording.*Format not recognised; give wav or flac",
    ),
    "cut off": ([wav(TONE), wav(TONE, kind="FLAC")[:30]], r"columns\.audio.*row 1 is "),
    "a path alone": ([{"bytes": None, "path": "x.wav"}], r"row 0 \(x\.wav\) has no bytes"),
    "text": (["x.wav"], r"columns\.audio.*row 0 is not a recording"),
    "empty": ([wav(TONE), wav(TONE[:0])], r"row 1 is empty"),
    "null": ([wav(TONE), None], r"row 1 is not a recording"),
    "NaN": ([TONE.tolist(), [0.0, float("nan")]], r"row 1 has samples that are not finite"),
    "channels": ([TONE[:2000].reshape(20, 100).tolist()], r"100 channels.*\(samples, channels\)"),
    "rates": ([wav(TONE), wav(TONE, 16000)], r"row 1 has 16000 samples per second, and the rows before 8000"),
}


@pytest.mark.parametrize(("values", "message"), BAD_AUDIO.values(), ids=BAD_AUDIO)
def test_bad_recordings_name_row_and_remedy(values: list[Any], message: str, tmp_path: Path, plain: Path) -> None:
    with pytest.raises(InvalidInput, match=message):
        load(table(tmp_path / "d.parquet", audio=values), plain, "audio-classification")


def test_a_bad_sampling_rate_is_refused(tmp_path: Path, plain: Path) -> None:
    with pytest.raises(InvalidInput, match=r"columns\.samplingRate.*0\.5.*row 0"):
        load(table(tmp_path / "d.parquet", audio=[SHORT.tolist()], sampling_rate=[0.5]), plain, "audio-classification")


def test_a_preprocessor_of_images_does_not_prepare_audio(tmp_path: Path, plain: Path) -> None:
    VideoMAEImageProcessor(size={"shortest_edge": 16}).save_pretrained(plain)
    path = table(tmp_path / "d.parquet", audio=[wav(TONE)])
    with pytest.raises(InvalidInput, match=r"preprocessor_config\.json.*cannot be loaded"):
        load(path, plain, "audio-classification")


CLIP = np.random.default_rng(3).integers(0, 255, size=(6, 20, 24, 3)).astype(np.uint8)


def video_model(folder: Path, frames: int | None = None, size: int | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "videomae", "num_frames": frames}))
    if size:
        VideoMAEImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size}).save_pretrained(
            folder
        )
    return folder


def test_every_form_of_videos_gives_the_same_frames(tmp_path: Path) -> None:
    """Read arrays in parquet, arrays in npz, and lists of encoded frames."""
    model = video_model(tmp_path / "m")
    nested = table(tmp_path / "a.parquet", video=[CLIP.tolist()])
    frames = table(tmp_path / "b.parquet", video=[[png(frame) for frame in CLIP]])
    np.savez(tmp_path / "c.npz", video=CLIP[np.newaxis])
    for path in (nested, frames, tmp_path / "c.npz"):
        pixels = load(path, model, "video-classification").samples[0]["pixel_values"]
        assert np.allclose(pixels, CLIP.transpose(0, 3, 1, 2) / 255.0, atol=1e-6), path.name


def test_a_model_gets_its_number_of_frames(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", video=CLIP[np.newaxis])
    pixels = load(tmp_path / "c.npz", video_model(tmp_path / "m", 3), "video-classification").samples[0]["pixel_values"]
    assert np.allclose(pixels, CLIP[[0, 2, 5]].transpose(0, 3, 1, 2) / 255.0, atol=1e-6)
    assert evenly(2, 4).tolist() == [0, 0, 1, 1]


def test_videos_are_prepared_by_the_processor_of_the_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", video=CLIP[np.newaxis])
    model = video_model(tmp_path / "m", 6, size=16)
    pixels = load(tmp_path / "c.npz", model, "video-classification").samples[0]["pixel_values"]
    processor = VideoMAEImageProcessor.from_pretrained(model)
    expected = processor([list(CLIP)], return_tensors="np", input_data_format="channels_last")["pixel_values"][0]
    assert pixels.shape == (6, 3, 16, 16)
    assert np.allclose(pixels, expected, atol=1e-6)


BAD_VIDEOS: dict[str, tuple[list[Any], str]] = {
    "one image": ([png(CLIP[0])], r"columns\.video.*row 0 is not a video"),
    "no frames": ([[]], r"row 0 is empty"),
    "frames that differ": ([[png(CLIP[0]), png(CLIP[1, :9])]], r"frames of row 0 differ in size"),
    "no image": ([[b"x"]], r"columns\.video.*row 0"),
    "unlike lengths": ([[png(CLIP[0])] * 2, [png(CLIP[0])]], r"row 1 has shape \(1, 3, .*, and row 0 \(2, 3, "),
}


@pytest.mark.parametrize(("values", "message"), BAD_VIDEOS.values(), ids=BAD_VIDEOS)
def test_bad_videos_name_row_and_remedy(values: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=message):
        load(table(tmp_path / "d.parquet", video=values), video_model(tmp_path / "m"), "video-classification")


ROWS: dict[str, list[Any]] = {"age": [1.5, 2.0], "name": ["a", "b"], "label": [0, 1], "height": [3, 4]}


def features_of(data: SampleSet) -> list[list[float]]:
    return [np.asarray(sample["features"]).tolist() for sample in data.samples]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "npz"])
def test_features_are_the_numeric_columns(suffix: str, tmp_path: Path, plain: Path) -> None:
    path = tmp_path / f"d.{suffix}"
    if suffix == "parquet":
        table(path, **ROWS)
    elif suffix == "csv":
        path.write_text("age,name,label,height\n1.5,a,0,3\n2.0,b,1,4\n")
    elif suffix == "jsonl":
        path.write_text("\n".join(json.dumps({k: v[i] for k, v in ROWS.items()}) for i in (0, 1)))
    else:
        np.savez(path, **{name: np.asarray(values) for name, values in ROWS.items()})
    data = load(path, plain, "tabular-classification")
    assert features_of(data) == [[1.5, 3.0], [2.0, 4.0]]
    assert data.samples[0]["features"].dtype == np.float32
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1]
    swapped = load(path, plain, "tabular-classification", columns={"features": ["height", "age"]})
    assert features_of(swapped) == [[3.0, 1.5], [4.0, 2.0]]


def test_a_regression_has_numbers_as_targets(tmp_path: Path, plain: Path) -> None:
    path = table(tmp_path / "d.parquet", x=[1.0, 2.0], y=[0.25, -7.5])
    data = load(path, plain, "tabular-regression", columns={"target": "y"})
    assert features_of(data) == [[1.0], [2.0]]
    assert data.labels is not None
    assert data.labels.tolist() == [0.25, -7.5]
    assert data.labels.dtype == np.float32


def test_a_model_takes_features_under_any_name(tmp_path: Path, plain: Path) -> None:
    data = load(table(tmp_path / "d.parquet", x=[1.0, 2.0], y=[3, 4]), plain, "tabular-classification")
    one = [TensorInfo("float_input", np.dtype(np.float32), (None, 2))]
    assert data.batch([1, 0], one)["float_input"].tolist() == [[2.0, 4.0], [1.0, 3.0]]
    with pytest.raises(InvalidInput, match=r"inputs a, b; the data gives one: features"):
        data.batch([0], [TensorInfo(name, np.dtype(np.float32), (None, 2)) for name in ("a", "b")])
    with pytest.raises(InvalidInput, match=r"shape \(2,\) in the data; the model takes \(3,\) "):
        data.batch([0], [TensorInfo("x", np.dtype(np.float32), (None, 3))])


BAD_FEATURES: dict[str, tuple[dict[str, list[Any]], dict[str, Any], str]] = {
    "words": ({"x": ["a", "b"]}, {"columns": {"features": ["x"]}}, r"columns\.features.*'a'.*row 0 of column x"),
    "missing": ({"x": [1.0, None]}, {}, r"columns\.features.*row 1 of column x is not a finite number"),
    "none": ({"x": ["a"]}, {}, r"columns\.features.*no column holds numbers"),
    "unknown": ({"x": [1.0]}, {"columns": {"features": ["z"]}}, r"columns.*'z'.*the columns are: x"),
    "no target": ({"x": [1.0]}, {"metric": "mae"}, r"columns\.target.*mae needs labels.*the columns are: x"),
    "bad target": ({"x": [1.0], "target": ["much"]}, {}, r"columns\.target.*'much'.*row 0"),
}


@pytest.mark.parametrize(("columns", "spec", "message"), BAD_FEATURES.values(), ids=BAD_FEATURES)
def test_bad_features_name_column_and_row(
    columns: dict[str, list[Any]], spec: dict[str, Any], message: str, tmp_path: Path, plain: Path
) -> None:
    with pytest.raises(InvalidInput, match=message):
        load(table(tmp_path / "d.parquet", **columns), plain, "tabular-regression", **spec)
