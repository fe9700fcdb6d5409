"""Convert recordings to inputs of a model: one channel, at its sampling rate, through its feature extractor."""

import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.problems import COLUMNS, bad_data, row_name
from compression_runner.dataset.table import Column
from compression_runner.errors import LIBRARY_ERRORS, cause

FIELD: Final = f"{COLUMNS}.audio"
PREPROCESSOR: Final = "preprocessor_config.json"
REMEDY: Final = "give encoded files (wav, flac), or arrays of samples with their rate in the column of samplingRate"
MAX_CHANNELS: Final = 16
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """Samples of shape (samples,) from -1 to 1, and the sampling rate; None if unknown."""

    samples: Floats
    rate: int | None


@dataclass(frozen=True)
class AudioInputs:
    """One input per recording; `free` if recordings differ in length, so that batches are padded with zeros."""

    name: str
    inputs: list[Floats]
    free: bool


def prepare_audio(recordings: Column, rates: Column | None, model_dir: Path) -> AudioInputs:
    """Return each recording as an input of the model.

    A recording is an encoded file, a mapping with one under "bytes", a mapping with "array" and "sampling_rate", or an
    array of samples, of shape (samples,), (samples, channels) or (channels, samples), with its rate in `rates`; the
    default rate is the model's. Channels are averaged; recordings with another rate than the model's are resampled.
    Without a preprocessor_config.json the samples stay unchanged. Raises InvalidInput, with the row, for a value that
    is not a recording.
    """
    extractor = feature_extractor(model_dir)
    target_rate = int(extractor.sampling_rate) if extractor else None
    waves, names, first = [], [], None
    for row, value in enumerate(recordings):
        recording = _recording(value, None if rates is None else rates[row], row)
        names.append(row_name(row, value))
        if extractor is None:
            # The rate of the model is unknown: all recordings must have the rate of the first.
            first = first or recording.rate
            _require_same_rate(recording.rate, first, row)
            waves.append(recording.samples)
        else:
            waves.append(resampled(recording.samples, recording.rate or target_rate, target_rate))
    if extractor is None:
        return AudioInputs("input_values", waves, free=len({len(wave) for wave in waves}) > 1)
    return _extracted(extractor, waves, names)


def resampled(samples: Floats, rate: int | None, target_rate: int | None) -> Floats:
    """Return samples at another rate, by a polyphase filter (scipy.signal.resample_poly)."""
    if not rate or not target_rate or rate == target_rate:
        return samples
    from scipy import signal  # takes a second to import; only audio needs it

    common = gcd(rate, target_rate)
    return np.asarray(signal.resample_poly(samples, target_rate // common, rate // common), dtype=np.float32)


def _recording(value: Any, rate: Any, row: int) -> Recording:
    content = value.get("bytes") if isinstance(value, dict) else value
    name = row_name(row, value)
    if isinstance(content, bytes):
        return _decoded(content, name)
    if isinstance(value, dict):
        if value.get("array") is None:
            problem, remedy = f"{name} has no bytes and no array", "store the recordings themselves in the data file"
            raise bad_data(FIELD, value.get("path"), problem, remedy)
        rate, value = value.get("sampling_rate", rate), value["array"]
    return Recording(_one_channel(_samples_first(_samples(value, row), name), name), _rate(rate, row))


def _decoded(content: bytes, name: str) -> Recording:
    import soundfile  # loads a library; only audio needs it

    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        problem = f"{name} is not a recording that libsndfile can read: {error.error_string.rstrip('.')}"
        raise bad_data(FIELD, f"{len(content)} bytes", problem, "give wav or flac files") from error
    except (soundfile.SoundFileError, MemoryError, *LIBRARY_ERRORS) as error:
        # A damaged file may state more samples than memory holds.
        raise bad_data(FIELD, f"{len(content)} bytes", f"{name} is damaged", "give wav or flac files") from error
    return Recording(_one_channel(samples, name), int(rate))


def _samples_first(samples: NDArray[Any], name: str) -> NDArray[Any]:
    """Return samples as (samples,) or (samples, channels); torchaudio and others put the channels first."""
    if samples.ndim == 1:
        return samples
    if samples.shape[1] > MAX_CHANNELS >= samples.shape[0] > 0:
        return samples.T
    if not 0 < samples.shape[1] <= MAX_CHANNELS:
        problem = f"{name} has {samples.shape[1]} channels"
        raise bad_data(FIELD, samples.shape, problem, "give arrays of shape (samples,) or (samples, channels)")
    return samples


def _samples(value: Any, row: int) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        problem = f"row {row} is not a recording: its channels differ in length"
        raise bad_data(FIELD, type(value).__name__, problem, REMEDY) from error
    if array.dtype.kind not in "uif" or array.ndim not in (1, 2):
        raise bad_data(FIELD, f"{array.dtype} {array.shape}", f"row {row} is not a recording", REMEDY)
    if array.dtype.kind == "f":
        return array
    # Integers span the range of their type (16 bits on a CD); the zero of unsigned ones is in the middle.
    half = 2.0 ** (8 * array.dtype.itemsize - 1)
    scaled = array.astype(np.float64) / half
    return scaled - 1.0 if array.dtype.kind == "u" else scaled


def _one_channel(samples: NDArray[Any], name: str) -> Floats:
    if not samples.size:
        raise bad_data(FIELD, "0 samples", f"{name} is empty", "leave empty recordings out")
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    if not np.isfinite(samples).all():
        raise bad_data(FIELD, "NaN or infinity", f"{name} has samples that are not finite", "give finite samples")
    return np.ascontiguousarray(samples, dtype=np.float32)


def _rate(value: Any, row: int) -> int | None:
    if value is None:
        return None
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = 0.0
    if not (rate > 0 and rate.is_integer()):
        problem = f"row {row} has no number of samples per second"
        raise bad_data(f"{COLUMNS}.samplingRate", value, problem, "give a whole number, such as 16000")
    return int(rate)


def _require_same_rate(rate: int | None, first: int | None, row: int) -> None:
    if rate != first:
        problem = f"row {row} has {rate} samples per second, and the rows before {first}"
        raise bad_data(FIELD, rate, problem, f"give one rate, or put {PREPROCESSOR} with the model's beside it")


def feature_extractor(model_dir: Path) -> Any:
    """Return the feature extractor of the model; None without a preprocessor_config.json.

    Raises InvalidInput if it needs remote code, or does not prepare audio.
    """
    if not (model_dir / PREPROCESSOR).is_file():
        return None
    import transformers  # takes seconds to import

    try:
        named = str(json.loads((model_dir / PREPROCESSOR).read_text()).get("feature_extractor_type", ""))
        known = getattr(transformers, named, None) if named else transformers.AutoFeatureExtractor
        with warnings.catch_warnings():
            # A filter bank with more filters than frequencies is the choice of the model.
            warnings.filterwarnings("ignore", message="At least one mel filter")
            extractor = known.from_pretrained(  # type: ignore[union-attr]
                model_dir, local_files_only=True, trust_remote_code=False
            )
        if not isinstance(extractor, transformers.SequenceFeatureExtractor):
            raise ValueError(f"{type(extractor).__name__} does not prepare audio")
    except (OSError, *LIBRARY_ERRORS) as error:
        problem = f"it cannot be loaded: {cause(error)}"
        remedy = f"correct {PREPROCESSOR}, or remove it for plain samples"
        raise bad_data("spec.model.source", PREPROCESSOR, problem, remedy) from error
    return extractor


def _extracted(extractor: Any, waves: Sequence[Floats], names: Sequence[str]) -> AudioInputs:
    name = str(extractor.model_input_names[0])
    inputs = []
    for recording, wave in zip(names, waves, strict=True):
        try:
            values = extractor(wave, sampling_rate=extractor.sampling_rate, return_tensors="np")[name][0]
        except LIBRARY_ERRORS as error:
            problem = f"the model's feature extractor refuses {recording}: {cause(error)}"
            raise bad_data(FIELD, f"{len(wave)} samples", problem, "give recordings as in training") from error
        inputs.append(np.ascontiguousarray(values, dtype=np.float32))
    # A spectrogram extractor gives every recording the same length; a waveform extractor keeps the length.
    return AudioInputs(name, inputs, free=len({values.shape for values in inputs}) > 1)
