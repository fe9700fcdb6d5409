"""Answer the same rows with transformers' pipelines and sentence-transformers."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.families.comparison import Answers
from benchmarks.families.rows import Rows
from compressionjob.tasks import Task

LENGTH: Final = 32
"""Length of truncated texts in tokens, as in the jobs."""


def answers(task: Task, model: Path, rows: Rows, windows: Sequence[Sequence[int]], batch: int) -> Answers:
    """Return the library's answers, in batches of `batch` rows; `windows` are rows of running text as tokens."""
    return _BY_TASK[task](model, rows, windows, batch)


def _embeddings(model: Path, rows: Rows, _windows: Sequence[Sequence[int]], batch: int) -> Answers:
    from sentence_transformers import SentenceTransformer

    encoder: Any = SentenceTransformer(str(model), device="cpu")
    encoder.max_seq_length = LENGTH
    return Answers(values=encoder.encode(list(rows["text"]), batch_size=batch, show_progress_bar=False))


def _texts(model: Path, rows: Rows, _windows: Sequence[Sequence[int]], batch: int) -> Answers:
    answered = _pipeline("text-classification", model, batch)(
        list(rows["text"]), top_k=None, function_to_apply="none", truncation=True, max_length=LENGTH
    )
    return _scores(answered)


def _numbers(model: Path, rows: Rows, windows: Sequence[Sequence[int]], batch: int) -> Answers:
    """Return the predicted numbers; the pipeline treats the number as a class."""
    return Answers(values=_texts(model, rows, windows, batch).values)


def _images(model: Path, rows: Rows, _windows: Sequence[Sequence[int]], batch: int) -> Answers:
    from PIL import Image

    pictures = [Image.open(io.BytesIO(encoded)).convert("RGB") for encoded in rows["image"]]
    whole = _pipeline("image-classification", model, batch, image_processor=_image_processor(model))
    return _scores(whole(pictures, top_k=len(whole.model.config.id2label), function_to_apply="none"))


def _recordings(model: Path, rows: Rows, _windows: Sequence[Sequence[int]], batch: int) -> Answers:
    whole = _pipeline("audio-classification", model, batch)
    given = list(_waves(rows, whole.feature_extractor.sampling_rate))
    return _scores(whole(given, top_k=None, function_to_apply="none"))


def _speech(model: Path, rows: Rows, _windows: Sequence[Sequence[int]], batch: int) -> Answers:
    whole = _pipeline("automatic-speech-recognition", model, batch)
    given = list(_waves(rows, whole.feature_extractor.sampling_rate))
    if whole.type == "seq2seq_whisper":
        return Answers(texts=_whispered(whole, [wave["raw"] for wave in given], batch))
    return Answers(texts=[answer["text"].strip() for answer in whole(given)])


def _whispered(whole: Any, waves: Sequence[Any], batch: int) -> list[str]:
    """Transcribe as the pipeline does, without timestamps, which need special tokens."""
    texts: list[str] = []
    for part in _batches(waves, batch):
        extractor = whole.feature_extractor
        given = extractor(list(part), sampling_rate=extractor.sampling_rate, return_tensors="pt")
        with torch.no_grad():
            tokens = whole.model.generate(**given, do_sample=False, num_beams=1)
        texts += [text.strip() for text in whole.tokenizer.batch_decode(tokens, skip_special_tokens=True)]
    return texts


def _videos(model: Path, rows: Rows, _windows: Sequence[Sequence[int]], batch: int) -> Answers:
    """Classify frames as the pipeline for videos does; the pipeline itself reads only files."""
    from PIL import Image
    from transformers import AutoModelForVideoClassification

    loaded: Any = AutoModelForVideoClassification.from_pretrained(model)
    prepare = _image_processor(model)
    clips = [[Image.open(io.BytesIO(frame)).convert("RGB") for frame in video] for video in rows["video"]]
    answered = []
    for part in _batches(clips, batch):
        pixels = [prepare(clip, return_tensors="pt")["pixel_values"] for clip in part]
        stacked = torch.cat([one if one.dim() == 5 else one[None] for one in pixels])
        with torch.no_grad():
            answered.append(loaded(stacked).logits.flatten(1).numpy())
    names = loaded.config.id2label
    return Answers(values=np.concatenate(answered), names=tuple(names[number] for number in range(len(names))))


def _next_tokens(model: Path, _rows: Rows, windows: Sequence[Sequence[int]], batch: int) -> Answers:
    """Return the loss of each token of running text, from the model itself: no pipeline returns it."""
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(model)
    losses_by_batch = []
    for part in _batches(windows, batch):
        ids = torch.tensor([list(window) for window in part])
        with torch.no_grad():
            logits = loaded(input_ids=ids).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        losses_by_batch.append(losses.numpy())
    return Answers(values=np.concatenate(losses_by_batch))


def _summaries(model: Path, rows: Rows, _windows: Sequence[Sequence[int]], batch: int) -> Answers:
    """Generate summaries greedily: transformers has no pipeline for summaries since version 5."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    loaded: Any = AutoModelForSeq2SeqLM.from_pretrained(model)
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    texts: list[str] = []
    for part in _batches(rows["text"], batch):
        given = tokenizer(list(part), padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
        with torch.no_grad():
            tokens = loaded.generate(**given, do_sample=False, num_beams=1)
        texts += [text.strip() for text in tokenizer.batch_decode(tokens, skip_special_tokens=True)]
    return Answers(texts=texts)


def _pipeline(task: str, model: Path, batch: int, **parts: Any) -> Any:
    from transformers import pipeline

    build: Any = pipeline
    return build(task, model=str(model), batch_size=batch, device="cpu", **parts)


def _image_processor(model: Path) -> Any:
    """Return the model's own processor, in its version without torchvision."""
    from compression_runner.dataset.images import processor

    return processor(model)


def _scores(answered: Sequence[Sequence[Mapping[str, Any]]]) -> Answers:
    """Return rows of scores from a pipeline's labels, whose order is that of the scores."""
    names = tuple(sorted(str(answer["label"]) for answer in answered[0]))
    rows = [{str(answer["label"]): float(answer["score"]) for answer in row} for row in answered]
    return Answers(values=np.array([[row[name] for name in names] for row in rows]), names=names)


def _waves(rows: Rows, rate: int) -> Iterator[dict[str, Any]]:
    """Yield recordings at the model's rate: resampling by torchaudio is not part of the comparison."""
    import soundfile
    from scipy import signal

    for encoded in rows["audio"]:
        wave, own = soundfile.read(io.BytesIO(encoded), dtype="float32")
        common = np.gcd(rate, own)
        resampled = wave if rate == own else signal.resample_poly(wave, rate // common, own // common)
        yield {"raw": np.asarray(resampled, dtype=np.float32), "sampling_rate": rate}


def _batches(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


_Answer = Callable[[Path, Rows, Sequence[Sequence[int]], int], Answers]
_BY_TASK: Final[Mapping[str, _Answer]] = {
    "text-embedding": _embeddings,
    "text-classification": _texts,
    "text-regression": _numbers,
    "text-generation": _next_tokens,
    "image-classification": _images,
    "audio-classification": _recordings,
    "video-classification": _videos,
    "summarization": _summaries,
    "automatic-speech-recognition": _speech,
}
