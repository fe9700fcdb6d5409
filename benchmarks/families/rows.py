"""Random rows of data for tiny models, from a fixed seed; sorted by length, so that all batches are the same."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.families.tokens import WORDS

Rows = Mapping[str, Sequence[Any]]
"""Column name -> values."""
EVALUATED: Final = 24
LEARNED: Final = 32
RATE: Final = 16_000
LABELS: Final = 3


@dataclass(frozen=True)
class Data:
    """The rows of evaluation and training data; training rows have labels and targets too."""

    evaluation: Rows
    training: Rows

    def save(self, folder: Path) -> None:
        """Write evaluation.parquet and training.parquet."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in (("evaluation", self.evaluation), ("training", self.training)):
            pq.write_table(pa.table(dict(rows)), folder / f"{name}.parquet")


def data_of(kind: str, *, numbers: bool = False) -> Data:
    """Return rows of sentences, pictures, videos or recordings; their targets are texts or numbers."""
    column, draw = _KINDS[kind]
    random = np.random.default_rng(11)
    values = draw(random, EVALUATED + LEARNED)
    learned = {
        column: values[EVALUATED:],
        "label": random.integers(0, LABELS, LEARNED).tolist(),
        "target": random.standard_normal(LEARNED).tolist() if numbers else _sentences(random, LEARNED),
    }
    return Data({column: sorted(values[:EVALUATED], key=_length)}, learned)


def _length(value: Any) -> int:
    return len(value.split()) if isinstance(value, str) else len(value)


def _sentences(random: np.random.Generator, count: int) -> list[str]:
    """Return distinct sentences of 3 to 14 words."""
    drawn: dict[str, None] = {}
    while len(drawn) < count:
        drawn[" ".join(random.choice(WORDS, size=int(random.integers(3, 15))))] = None
    return list(drawn)


def _picture(random: np.random.Generator, size: int) -> bytes:
    from PIL import Image

    coarse = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(encoded, "PNG")
    return encoded.getvalue()


def _pictures(random: np.random.Generator, count: int) -> list[bytes]:
    return [_picture(random, 40) for _ in range(count)]


def _videos(random: np.random.Generator, count: int) -> list[list[bytes]]:
    return [[_picture(random, 20) for _ in range(4)] for _ in range(count)]


def _recordings(random: np.random.Generator, count: int) -> list[bytes]:
    """Return recordings of two tones and noise, between half a second and a second long."""
    import soundfile

    encoded = []
    for _ in range(count):
        time = np.arange(int(RATE * random.uniform(0.5, 1.0))) / RATE
        tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in random.uniform(100, 3000, 2))
        place = io.BytesIO()
        wave = 0.2 * tones + 0.05 * random.standard_normal(len(time))
        soundfile.write(place, wave.astype(np.float32), RATE, format="WAV")
        encoded.append(place.getvalue())
    return encoded


_KINDS: Final[Mapping[str, tuple[str, Callable[[np.random.Generator, int], list[Any]]]]] = {
    "sentences": ("text", _sentences),
    "pictures": ("image", _pictures),
    "videos": ("video", _videos),
    "recordings": ("audio", _recordings),
}
