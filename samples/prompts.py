"""The audio sample: Asterisk's recorded prompts in five languages, and a transformer that predicts the language."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from samples import checkpoints
from samples.packages import debian

SEED = 20261124
LANGUAGES = ("en", "es", "fr", "it", "ru")
CHECKPOINT = Path(__file__).parent / "prompts"
TEST_SHARE = 0.25
SECONDS = 3
NO_SPEECH = ("silence/", "beep", "ascending-2tone", "descending-2tone")
RATE = 8000


@dataclass(frozen=True)
class Prompt:
    """A recording as a wav file, the index of its language, and its name, which is the same in every language."""

    name: str
    wav: bytes
    label: int


def prompts(destination: Path) -> None:
    """Write model/ (float32), train.parquet and test.parquet (audio: wav of up to 3 seconds, label)."""
    destination.mkdir(parents=True, exist_ok=True)
    for part, rows in zip(("train", "test"), split(), strict=True):
        columns = {"audio": [row.wav for row in rows], "sampling_rate": [RATE] * len(rows)}
        table = pa.table({**columns, "label": [row.label for row in rows]})
        pq.write_table(table, destination / f"{part}.parquet")
    checkpoints.unpack(CHECKPOINT, destination / "model")


def train_prompts(destination: Path) -> None:
    """Train the shipped checkpoint, about eight minutes on one core."""
    from samples.prompt_training import train

    rows, _ = split()
    train([row.wav for row in rows], [row.label for row in rows], LANGUAGES, destination)


def split() -> tuple[list[Prompt], list[Prompt]]:
    """Return prompts for training and for testing. A prompt is in the same set in all languages."""
    every = list(_read())
    names = sorted({prompt.name for prompt in every})
    random = np.random.default_rng(SEED)
    drawn = random.permutation(len(names))[: round(len(names) * TEST_SHARE)]
    test = {names[index] for index in drawn}
    mixed = [every[index] for index in random.permutation(len(every))]
    return [row for row in mixed if row.name not in test], [row for row in mixed if row.name in test]


def _read() -> Iterator[Prompt]:
    for label, language in enumerate(LANGUAGES):
        (voice,) = (debian(f"asterisk-core-sounds-{language}-wav") / "usr/share/asterisk/sounds").glob(f"{language}_*")
        for path in sorted(voice.rglob("*.wav")):
            name = str(path.relative_to(voice).with_suffix(""))
            if not name.startswith(NO_SPEECH) and (wav := _first_seconds(path)):
                yield Prompt(name, wav, label)


def _first_seconds(path: Path) -> bytes:
    """Return the first seconds of a recording as a wav file; empty for an empty recording."""
    import soundfile

    samples, rate = soundfile.read(path, frames=SECONDS * RATE, dtype="int16")
    if not len(samples):
        return b""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
