"""Recordings as a model takes them: one channel, at its sampling rate, through its feature extractor."""

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

FIELD: Final = f"{COLUMNS}.audio"
PREPROCESSOR: Final = "preprocessor_config.json"
REMEDY: Final = "give encoded files (wav, flac), or arrays of samples with their rate in the column of samplingRate"
MAX_CHANNELS: Final = 16
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """Samples of shape (samples,) from -1 to 1, and how many there are in a second; None where nothing says."""

    samples: Floats
    rate: int | None


@dataclass(frozen=True)
class Prepared:
    """One input per recording; `free` where recordings differ in length, so that batches are filled up with zeros."""

    name: str
    inputs: list[Floats]
    free: bool


def prepare_audio(recordings: Column, rates: Column | None, model_dir: Path) -> Prepared:
    """Return each recording as the model takes it.

    A recording is an encoded file, a mapping with one under "bytes", a mapping with "array" and "sampling_rate", or an
    array of samples, of shape (samples,) or (samples, channels), whose rate is in `rates`; without a rate it is taken
    to have the model's. Channels are averaged, and recordings of another rate than the model's resampled. Without a
    preprocessor_config.json the samples are given as they are. Raises InvalidInput for what is not a recording.
    """
    extractor = feature_extractor(model_dir)
    wanted = int(extractor.sampling_rate) if extractor else None
    waves, first = [], None
    for row, value in enumerate(recordings):
        found = _recording(value, None if rates is None else rates[row], row)
        if extractor is None:
            # Nothing says which rate the model wants: that of the first recording, which all must have.
            first = first or found.rate
            _require_same_rate(found.rate, first, row)
            waves.append(found.samples)
        else:
            waves.append(resampled(found.samples, found.rate or wanted, wanted))
    if extractor is None:
        return Prepared("input_values", waves, free=len({len(wave) for wave in waves}) > 1)
    return _extracted(extractor, waves)


def resampled(samples: Floats, rate: int | None, wanted: int | None) -> Floats:
    """Return samples at another rate, by a polyphase filter (scipy.signal.resample_poly)."""
    if not rate or not wanted or rate == wanted:
        return samples
    from scipy import signal  # takes a second to import; only audio needs it

    common = gcd(rate, wanted)
    return np.asarray(signal.resample_poly(samples, wanted // common, rate // common), dtype=np.float32)


def _recording(value: Any, rate: Any, row: int) -> Recording:
    content = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(content, bytes):
        return _decoded(content, row, row_name(row, value))
    if isinstance(value, dict):
        rate, value = value.get("sampling_rate", rate), value.get("array")
    return Recording(_one_channel(_samples(value, row), row), _rate(rate, row))


def _decoded(content: bytes, row: int, name: str) -> Recording:
    import soundfile  # loads a library; only audio needs it

    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise bad_data(FIELD, f"{len(content)} bytes", f"{name}: {error}", "give wav or flac files") from error
    return Recording(_one_channel(samples, row), int(rate))


def _samples(value: Any, row: int) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise bad_data(FIELD, type(value).__name__, f"row {row} is not a recording: {error}", REMEDY) from error
    if array.dtype.kind not in "uif" or array.ndim not in (1, 2):
        raise bad_data(FIELD, f"{array.dtype} {array.shape}", f"row {row} is not a recording", REMEDY)
    if array.dtype.kind == "f":
        return array
    # Whole numbers span their type: 16-bit samples are those of a CD; unsigned ones have their zero in the middle.
    half = 2.0 ** (8 * array.dtype.itemsize - 1)
    scaled = array.astype(np.float64) / half
    return scaled - 1.0 if array.dtype.kind == "u" else scaled


def _one_channel(samples: NDArray[Any], row: int) -> Floats:
    if samples.ndim == 2:
        if not 0 < samples.shape[1] <= MAX_CHANNELS:
            problem = f"row {row} has {samples.shape[1]} channels"
            raise bad_data(FIELD, samples.shape, problem, "give arrays of shape (samples,) or (samples, channels)")
        samples = samples.mean(axis=1)
    if not len(samples):
        raise bad_data(FIELD, "0 samples", f"row {row} is empty", "leave empty recordings out")
    if not np.isfinite(samples).all():
        raise bad_data(FIELD, "NaN or infinity", f"row {row} has samples that are not finite", "give finite samples")
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
    """Return the feature extractor of the model; None where there is no preprocessor_config.json.

    Raises InvalidInput where it cannot be loaded without code of its own, or does not prepare audio.
    """
    if not (model_dir / PREPROCESSOR).is_file():
        return None
    import transformers  # takes seconds to import

    try:
        named = str(json.loads((model_dir / PREPROCESSOR).read_text()).get("feature_extractor_type", ""))
        known = getattr(transformers, named, None) if named else transformers.AutoFeatureExtractor
        with warnings.catch_warnings():
            # A bank with more filters than frequencies is the model's own choice.
            warnings.filterwarnings("ignore", message="At least one mel filter")
            extractor = known.from_pretrained(  # type: ignore[union-attr]
                model_dir, local_files_only=True, trust_remote_code=False
            )
        if not isinstance(extractor, transformers.SequenceFeatureExtractor):
            raise ValueError(f"{type(extractor).__name__} does not prepare audio")
    except (OSError, ValueError, KeyError, ImportError, AttributeError) as error:
        problem, remedy = f"it cannot be loaded: {error}", f"correct {PREPROCESSOR}, or remove it for plain samples"
        raise bad_data("spec.model.source", PREPROCESSOR, problem, remedy) from error
    return extractor


def _extracted(extractor: Any, waves: Sequence[Floats]) -> Prepared:
    name = str(extractor.model_input_names[0])
    inputs = []
    for row, wave in enumerate(waves):
        try:
            values = extractor(wave, sampling_rate=extractor.sampling_rate, return_tensors="np")[name][0]
        except (ValueError, TypeError, KeyError, IndexError) as error:
            problem = f"the model's feature extractor refuses row {row}: {error}"
            raise bad_data(FIELD, f"{len(wave)} samples", problem, "give recordings as in training") from error
        inputs.append(np.ascontiguousarray(values, dtype=np.float32))
    # An extractor of spectrograms gives every recording the same length; one of waveforms leaves it as it is.
    return Prepared(name, inputs, free=len({values.shape for values in inputs}) > 1)
